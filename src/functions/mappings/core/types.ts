/** A record on its way to a function, as decisions see it; whoever delivers it adds where its bytes are. */
export interface PendingRecord {
  readonly sequence: number
  /** Hash of its item's key: records of one item have the same. */
  readonly hash: number
  /** Bytes of its JSON in the event. */
  readonly bytes: number
  /** Commit time, milliseconds since 1970. */
  readonly time: number
  /** The function has it, or it was given up. */
  readonly isDone: boolean
  done(): void
}

/** What decisions of a shard go by. Times are milliseconds. */
export interface DeliverySettings {
  /** Records of a batch at most. */
  readonly batchSize: number
  /** How long a batch that is not full waits for more; 0: not at all. */
  readonly windowMs: number
  /** Batches of one shard that may be with the function at one time; records of one item are never in two of them. */
  readonly lanes: number
  /** Invocations of the same records that may fail before they are given up; Infinity: any number. */
  readonly attemptsMax: number
  /** Records that are older are given up; Infinity: none. */
  readonly ageMsMax: number
  /** A batch that fails is halved before it is tried again. */
  readonly bisects: boolean
  /** Length of a tumbling window; 0: none. With one there is a single lane. */
  readonly tumblingMs: number
  /** Bytes of the records of a batch at most, with the commas between them. */
  readonly payloadBytesMax: number
  /** The wait after so many failures in a row. */
  readonly backOff: (failures: number) => number
}

/** Why records are given up, as AWS calls it. */
export type GivenUp = 'RetryAttemptsExhausted' | 'RecordAgeExceeded'

/** What a function answered last, for the document of a batch that is given up. */
export interface LastAnswer {
  readonly requestId: string
  /** null where the function itself reported an item. */
  readonly functionError: string | null
}

/** Records that are invoked with, tried again, and given up together. */
export interface Work<R extends PendingRecord> {
  readonly lane: number
  /** In the order of their sequence numbers. Empty for the last invocation of a tumbling window. */
  readonly records: readonly R[]
  readonly isFinal: boolean
  /** Invocations with these records that failed. */
  attempts: number
  /** Times that the function was busy, in a row. */
  throttles: number
  /** Not tried before this time. */
  notBefore: number
  givenUp: GivenUp | undefined
  last: LastAnswer | undefined
}

/** A tumbling window that is open in a shard. */
export interface OpenWindow {
  /** Milliseconds since 1970. */
  readonly start: number
  /** What the function returned last, as JSON text. */
  readonly state: string
  /** The state has become too large: the window ends before its time. */
  readonly isEarly: boolean
}

/** What becomes of an invocation. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly state?: string }
  /** The records before `from` (at least 1) have succeeded. */
  | { readonly kind: 'partial'; readonly from: number; readonly last: LastAnswer; readonly state?: string }
  | { readonly kind: 'failed'; readonly last: LastAnswer }
  /** The function was not reached: no attempt. */
  | { readonly kind: 'throttled' }

/** What is to be done next. Its end is told with `answered` or `discarded`. */
export type Step<R extends PendingRecord> =
  | { readonly kind: 'invoke'; readonly work: Work<R>; readonly window: OpenWindow | undefined }
  | { readonly kind: 'discard'; readonly work: Work<R>; readonly window: OpenWindow | undefined }

/** Where a shard stands: durable with its position. */
export interface Checkpoint {
  /** Everything below is done. */
  readonly next: number
  /** All of a sealed shard is done. */
  readonly isEnded: boolean
  readonly window: OpenWindow | undefined
}
