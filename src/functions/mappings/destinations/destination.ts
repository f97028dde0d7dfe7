/** Where the document of records that were given up goes. */
export interface Destination {
  /** Resolves when it is there to stay. Rejects when it is not; the same document may be brought again. */
  deliver(document: FailureDocument, stop: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** What is known of records that were given up. */
export interface FailureDocument {
  /** The same at each attempt, also after a restart: the mapping, the shard, its first record and its last; of a last invocation the window's start, too. */
  readonly id: string
  /** When they were given up, milliseconds since 1970. */
  readonly at: number
  readonly functionArn: string
  readonly condition: string
  readonly shardId: string
  readonly startSequenceNumber: string
  /** The whole as JSON, as AWS writes it for a bucket: with the event under `payload`. */
  readonly withPayload: Buffer
  /** The same without the event, for what holds less. */
  readonly withoutPayload: Buffer
}
