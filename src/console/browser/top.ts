import { element } from './element.js'
import { percent } from './format.js'
import { moment, table } from './parts.js'

/** What `GET /v1/streams/NAME/top` says of one shard; a part that is not measured is not there. */
export interface ShardTop {
  readonly shard: number
  readonly load?: {
    readonly recordsPerSecond?: number
    readonly bytesPerSecond?: number
    /** Share of the shard's target, over ten seconds. */
    readonly u10?: number
  }
  readonly keys?: readonly { readonly key: string; readonly share: number }[]
}

export interface TopAnswer {
  readonly shards?: readonly ShardTop[]
}

export interface Load {
  readonly use: number
  readonly recordsPerSecond: number | undefined
  readonly bytesPerSecond: number | undefined
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
  readonly shards?: readonly number[]
  readonly children?: readonly number[]
}

/** The loads that are known, by shard. */
export function loadsOf(top: TopAnswer | undefined): ReadonlyMap<number, Load> {
  const loads = new Map<number, Load>()
  for (const { shard, load } of top?.shards ?? []) {
    if (load?.u10 === undefined) continue
    const { u10, recordsPerSecond, bytesPerSecond } = load
    loads.set(shard, { use: u10, recordsPerSecond, bytesPerSecond })
  }
  return loads
}

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
      { title: 'Why', kind: 'name', cell: ({ reason }) => reason ?? '–' },
      { title: 'Shards', kind: 'text', cell: ({ shards }) => list(shards) },
      { title: 'Children', kind: 'text', cell: ({ children }) => list(children) },
    ],
    decisions.toSorted((a, b) => b.time - a.time),
    'Nothing was decided yet.',
  )
}
