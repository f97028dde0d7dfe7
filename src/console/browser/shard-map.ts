import type { Shard } from './answers.js'
import { svgElement } from './element.js'
import { percent } from './format.js'
import { hashRange } from './hash-range.js'
import type { ShardTop } from './top.js'

/** From cold to above its target. */
export type Heat = 0 | 1 | 2 | 3 | 4 | 5

/** @param use share of a shard's target that is in use */
export function heatOf(use: number): Heat {
  if (use < 0.1) return 0
  if (use < 0.4) return 1
  if (use < 0.7) return 2
  if (use < 0.9) return 3
  return use < 1 ? 4 : 5
}

export const heatClass = (heat: Heat): string => `heat-${heat}`

const width = 1000
const height = 44
/** A shard of a single hash must still be seen. */
const widthMin = 3

/** All key hashes from left to right, and the open shards that share them. The table below says the same in words. */
export function shardMap(open: readonly Shard[], loads: ReadonlyMap<number, ShardTop>): SVGElement {
  // The narrow ones come last, so that no wide neighbour covers them.
  const shards = open
    .map((shard) => ({ shard, ...hashRange(shard.low, shard.high) }))
    .toSorted((a, b) => b.to - b.from - (a.to - a.from))
  return svgElement(
    'svg',
    {
      class: 'map',
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `${open.length} open shards over the range of key hashes`,
    },
    ...shards.map(({ shard, from, to }) => {
      const load = loads.get(shard.id)
      const attributes = {
        class: heatClass(load ? heatOf(load.load) : 1),
        x: (from * width).toFixed(2),
        y: 0,
        width: Math.max(widthMin, (to - from) * width).toFixed(2),
        height,
      }
      const text = load ? `shard ${shard.id}: ${percent(load.load)} of its target` : `shard ${shard.id}`
      return svgElement('rect', attributes, svgElement('title', {}, text))
    }),
  )
}
