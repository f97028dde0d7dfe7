import type { Members, TableShape } from '../tables/index.js'

/** What links ask of another region. Bodies of `apply` are changes (wire.ts). */
export interface Calls {
  /** Whether the region takes a replica of a table. */
  check: { readonly ask: { readonly shape: TableShape }; readonly answer: Record<string, never> }
  /** Begins a session: the table is made where it is not there. */
  join: { readonly ask: JoinAsk; readonly answer: JoinAnswer }
  apply: { readonly ask: ApplyAsk; readonly answer: ApplyAnswer }
  digest: {
    readonly ask: { readonly table: string; readonly ranges: readonly number[] }
    readonly answer: { readonly digests: readonly { range: number; items: number; digest: string }[] }
  }
}

export type CallName = keyof Calls
export const callNames: readonly CallName[] = ['check', 'join', 'apply', 'digest']

/** Which store a region has, and its life: another one has lost what the one before had. */
export interface StoreLife {
  readonly id: string
  readonly epoch: number
  /** Made at random when the epoch rose: of one older copy that is opened twice both have the same epoch. */
  readonly life?: string
}

export const isSameLife = (a: StoreLife, b: StoreLife): boolean =>
  a.id === b.id && a.epoch === b.epoch && a.life === b.life

export interface JoinAsk {
  readonly shape: TableShape
  readonly members: Members
  readonly store: StoreLife
}

export interface JoinAnswer {
  /** Of the region, with the table's own id: what is made anew has none of the items. */
  readonly store: StoreLife & { readonly table: string }
  readonly session: number
  /** How far the region has this table's changes, of this store; undefined when nothing was ever finished. */
  readonly positions?: readonly WirePosition[]
  readonly members: Members
}

/** Shard, next sequence number, and 1 at its end. */
export type WirePosition = readonly [shard: number, next: number, ended: 0 | 1]

/** Milliseconds of stamps, both ends included: what a region has written then may be in others alone. */
export interface Gap {
  readonly from: number
  readonly to: number
}

/** What a region has had of another one's writes, or of its own: all up to a time, but for what may have been lost since. */
export interface Seen {
  readonly through: number
  readonly gaps: readonly Gap[]
}

/** By region. */
export type SeenByRegion = Readonly<Record<string, Seen>>

/** Whether a write with a stamp of these milliseconds was certainly there once. */
export const hasHad = (seen: Seen | undefined, ms: number): boolean =>
  seen !== undefined && ms <= seen.through && !seen.gaps.some(({ from, to }) => ms >= from && ms <= to)

/** Of more gaps than this the oldest two are taken for one. */
const gapsMax = 32

export function withGap(gaps: readonly Gap[], gap: Gap): readonly Gap[] {
  const [first, second] = gaps
  if (!first || !second || gaps.length < gapsMax) return [...gaps, gap]
  const both = { from: Math.min(first.from, second.from), to: Math.max(first.to, second.to) }
  return [both, ...gaps.slice(2), gap]
}

/** Times up to which something holds, milliseconds of commit time since 1970. */
export interface Marks {
  /** Every write of the sender up to here is in this batch or in one before. */
  readonly through: number
  /** Every deletion of the sender up to here is in all regions. */
  readonly stable: number
}

export interface ApplyAsk {
  readonly table: string
  readonly session: number
  /** Regions that versions name by their place in here. */
  readonly regions: readonly string[]
  readonly members: Members
  /** Whether versions may have been sent before: then none that loses is a conflict. */
  readonly repeats: boolean
  readonly marks?: Marks
  /** Behind the changes of this batch; replaces what was there. */
  readonly positions?: readonly WirePosition[]
  /** Of a fill: the stretch of places (hex) that the items of this batch are all of, and what the sender has seen by region. */
  readonly stretch?: {
    readonly after?: string
    readonly upTo?: string
    readonly seen: SeenByRegion
  }
}

export interface ApplyAnswer {
  readonly members: Members
  readonly applied: number
  readonly ignored: number
  readonly conflicts: number
  /** The place (hex) up to which a stretch was looked through, where that is not its end: the rest is to be sent again. */
  readonly upTo?: string
}

/** The way to other regions. Rejects with REPLICA_UNAVAILABLE, or with what the other side has thrown. */
export interface Transport {
  call<Name extends CallName>(
    region: string,
    name: Name,
    ask: Calls[Name]['ask'],
    body: Buffer | undefined,
    signal: AbortSignal,
  ): Promise<Calls[Name]['answer']>
}

/** What a region does when it is asked. */
export type Answering = <Name extends CallName>(
  from: string,
  name: Name,
  ask: Calls[Name]['ask'],
  body: Buffer,
) => Promise<Calls[Name]['answer']>
