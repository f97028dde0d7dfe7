/** An answer of the AWS path, parsed. */
export interface Answer {
  /** The name of the error, after its namespace; undefined when there is none. */
  readonly error: string | undefined
  readonly message: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

/** What a run of the model speaks to: tables that can be asked, and can be made to crash. */
export interface Backend {
  ask(operation: string, input: object): Promise<Answer>
  /** Splits every open shard of a table's change log. */
  split(table: string): Promise<void>
  /**
   * Asks all of these at once and ends the process in their middle; comes back with a new process on what is left. An
   * answer is undefined where none was given.
   */
  crash(requests: readonly (readonly [string, object])[], how: Crash): Promise<(Answer | undefined)[]>
}

export interface Crash {
  /** How many writes of the store are let through before the end. */
  readonly writes: number
  /** Whether the write after those takes effect, though nobody hears of it. */
  readonly reached: boolean
}

export const streamOperations: ReadonlySet<string> = new Set([
  'ListStreams',
  'DescribeStream',
  'GetShardIterator',
  'GetRecords',
])

export const targetOf = (operation: string): string =>
  streamOperations.has(operation) ? 'DynamoDBStreams_20120810' : 'DynamoDB_20120810'
