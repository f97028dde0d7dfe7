/** What a mapping has done since the daemon opened it. */
export interface MappingCounts {
  /** Records that the function has taken. */
  readonly records: number
  /** Invocations that were answered. */
  readonly batches: number
  /** Of these, those that failed, also in part. */
  readonly failures: number
  /** Invocations that found the function busy. */
  readonly throttles: number
  /** Records that were given up. */
  readonly discarded: number
  /** Records that no filter takes. */
  readonly filtered: number
  /** Records that were trimmed from the log before they were delivered: times that it was met. */
  readonly lost: number
  /** Attempts to bring a document to the destination that failed. */
  readonly destinationFailures: number
}

export class MappingCounters implements MappingCounts {
  records = 0
  batches = 0
  failures = 0
  throttles = 0
  discarded = 0
  filtered = 0
  lost = 0
  destinationFailures = 0
}
