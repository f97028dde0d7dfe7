import { element } from './element.js'
import { percent } from './format.js'
import { moment, table } from './parts.js'

/** What `GET /v1/streams/NAME/top` says of one shard, as far as the console looks. */
export interface ShardTop {
  readonly shard: number
  /** In targets of a shard, over ten seconds. */
  readonly load: number
  /** What makes the load: records, bytes, processors or a queue. */
  readonly by?: string
  readonly phase?: string
  readonly recordsPerSecond?: number
  readonly bytesPerSecond?: number
  readonly keys?: readonly { readonly key: string; readonly share: number }[]
}

export interface TopAnswer {
  readonly shards?: readonly ShardTop[]
}

export interface HeavyKey {
  readonly key: string
  readonly share: number
  readonly shard: number
}

/** One line of `GET /v1/streams/NAME/history`. */
export interface Decision {
  readonly number?: number
  readonly time: number
  readonly kind: string
  readonly reason?: string
  readonly parents?: readonly number[]
  readonly children?: readonly number[]
  /** The one that was left alone. */
  readonly shard?: number
  /** The key that no cut relieves. */
  readonly key?: { readonly key: string; readonly share: number }
}

/** The loads that are known, by shard. */
export const loadsOf = (top: TopAnswer | undefined): ReadonlyMap<number, ShardTop> =>
  new Map(top?.shards?.map((shard) => [shard.shard, shard]))

export function heavyKeyTable(keys: readonly HeavyKey[]): HTMLElement {
  return table<HeavyKey>(
    'Heavy keys',
    [
      { title: 'Key', kind: 'name', cell: ({ key }) => element('code', {}, key) },
      { title: 'Shard', kind: 'number', cell: ({ shard }) => shard },
      { title: 'Of the shard', kind: 'number', cell: ({ share }) => percent(share) },
    ],
    keys.toSorted((a, b) => b.share - a.share),
    'No key stands out. Keys are looked at while a shard is near its target.',
  )
}

export function decisionTable(decisions: readonly Decision[]): HTMLElement {
  const list = (shards: readonly number[] | undefined) => shards?.join(', ') || '–'
  return table<Decision>(
    'Splits and merges',
    [
      { title: 'When', kind: 'text', cell: ({ time }) => moment(time) },
      { title: 'What', kind: 'text', cell: ({ kind }) => kind },
      { title: 'Why', kind: 'name', cell: reasonOf },
      { title: 'Shards', kind: 'text', cell: ({ parents, shard }) => list(parents ?? (shard ? [shard] : [])) },
      { title: 'Children', kind: 'text', cell: ({ children }) => list(children) },
    ],
    decisions.toSorted((a, b) => b.time - a.time),
    'Nothing was decided yet.',
  )
}

const reasonOf = ({ reason, key }: Decision): string =>
  key ? `${reason}: ${percent(key.share)} of it is the key ${key.key}` : (reason ?? '–')
