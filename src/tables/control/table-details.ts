/**
 * What a table's row says of it that no read or write of an item depends on, but for throttling. All of it is optional: a
 * row of an older version has none.
 */
export interface TableDetails {
  readonly tags?: readonly Tag[]
  /** Most request units a second of a table on demand. */
  readonly onDemand?: Units
  /** The highest throughput that the table was made ready for. */
  readonly warm?: Units
  /** Shards that its stream opens with, when warm throughput was asked for. */
  readonly shards?: number
  readonly encryption?: Encryption
  /** Milliseconds since 1970. */
  readonly increasedAt?: number
  readonly decreasedAt?: number
  /** Decreases on the day of the last one. */
  readonly decreases?: number
  /** When it was last switched to PAY_PER_REQUEST. */
  readonly onDemandAt?: number
  /** What it is busy with until a time; afterwards it is ACTIVE. */
  readonly busy?: { readonly with: 'CREATING' | 'UPDATING'; readonly until: number }
  readonly counted?: { readonly items: number; readonly bytes: number; readonly at: number }
}

export interface Tag {
  readonly Key: string
  readonly Value: string
}

/** Units a second; an absent one is not given. */
export interface Units {
  readonly read?: number
  readonly write?: number
}

/** Encryption as it is described. Nothing is encrypted. */
export interface Encryption {
  readonly key: string
}
