/** What the clients of a simulated daemon did and were told: all that the checker goes by. */

export type Outcome =
  /** Not answered yet. */
  | 'pending'
  | 'acknowledged'
  /** The daemon went, or said that it does not know. */
  | 'unknown'
  /** Nothing was done, and the client was told so. */
  | 'refused'

/** One record that a client wanted in a stream. Its body is its id. */
export interface Append {
  readonly id: string
  readonly stream: string
  readonly key: string
  readonly hash: string
  outcome: Outcome
  /** Where the records of its batch are, as the client was told; empty when it only learned that they are stored. */
  placed: readonly { readonly shard: number; readonly first: number; readonly count: number }[]
}

/** What one read of a shard gave. */
export interface Read {
  readonly shard: number
  readonly from: number
  readonly next: number
  readonly records: readonly { readonly sequence: number; readonly body: string }[]
}

/** A group, and from where on it was to be given records. */
export interface GroupHistory {
  readonly name: string
  readonly stream: string
  /** The stream to which it appends what it was given, in the commit of its position. */
  readonly output: string
  start: 'oldest' | 'newest' | { readonly sequence: number } | { readonly timeMs: number }
  /** Records that were acknowledged before it was asked for. */
  readonly before: ReadonlySet<string>
  /** Records that some client had sent when it was there; undefined while it is being made. */
  submittedBefore: ReadonlySet<string> | undefined
  /** The lease of its newest seek: what was given under a higher one was given after it. */
  fromLease: number
  /** Whether a seek is under way, or was when the daemon went. */
  isUnknown: boolean
}

export class Journal {
  readonly appends = new Map<string, Append>()
  readonly reads: Read[] = []
  readonly groups = new Map<string, GroupHistory>()
  /** Rows that a client raised by one, and was told so. */
  readonly raises: { readonly row: string; readonly to: number }[] = []
  /** What clients were told that a row is. */
  readonly looks: { readonly row: string; readonly value: number }[] = []
  /** Commit times as receipts told them, in the order of their telling. */
  readonly receipts: { readonly commit: number; readonly time: number }[] = []
  /** What was seen to be wrong while it happened. */
  readonly faults: string[] = []
  /** For people who look into a seed. */
  readonly trace: string[] = []

  append(append: Omit<Append, 'outcome' | 'placed'>): Append {
    const entry: Append = { ...append, outcome: 'pending', placed: [] }
    this.appends.set(entry.id, entry)
    return entry
  }

  /** The daemon went: whoever waited for an answer gets none. */
  lostAnswers(): void {
    for (const append of this.appends.values()) if (append.outcome === 'pending') append.outcome = 'unknown'
    for (const group of this.groups.values()) group.submittedBefore ??= new Set(this.appends.keys())
  }

  acknowledged(): Set<string> {
    const ids = new Set<string>()
    for (const { id, outcome } of this.appends.values()) if (outcome === 'acknowledged') ids.add(id)
    return ids
  }
}
