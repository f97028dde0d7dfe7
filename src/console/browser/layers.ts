/** Something that takes room in one layer of a picture; layers follow each other from the top. */
export interface Item {
  readonly key: string
  readonly layer: number
  readonly width: number
}

/** A line from an item to one of the next layer. */
export interface Link {
  readonly from: string
  readonly to: string
}

/** Between two items of a layer. */
export const itemGap = 24
const sweeps = 8

/** Keys of the items that an item is linked with, above or below. */
type Neighbours = ReadonlyMap<string, readonly string[]>

/**
 * The middles of all items, from left to right: few lines cross each other, items stand below what leads to them, and no
 * two of a layer touch.
 */
export function arranged(items: readonly Item[], links: readonly Link[]): ReadonlyMap<string, number> {
  const above = neighboursOf(links.map(({ from, to }) => [to, from]))
  const below = neighboursOf(links.map(({ from, to }) => [from, to]))
  const layers = ordered(layersOf(items), above, below)
  const middles = new Map<string, number>()
  for (const layer of layers) spreadLayer(layer, above, middles)
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const isUp = sweep % 2 === 0
    for (const layer of isUp ? layers.toReversed() : layers) spreadLayer(layer, isUp ? below : above, middles)
  }
  return middles
}

function neighboursOf(pairs: readonly (readonly [string, string])[]): Neighbours {
  const found = new Map<string, string[]>()
  for (const [key, other] of pairs) found.set(key, [...(found.get(key) ?? []), other])
  return found
}

function layersOf(items: readonly Item[]): Item[][] {
  const layers: Item[][] = []
  for (const item of items) {
    while (layers.length <= item.layer) layers.push([])
    layers[item.layer]?.push(item)
  }
  return layers
}

/** Sorts each layer by where the neighbours of its items stand, down and up again, and keeps the best that came out. */
function ordered(first: readonly Item[][], above: Neighbours, below: Neighbours): readonly (readonly Item[])[] {
  let layers = first
  let best = first
  let least = crossings(first, below)
  for (let sweep = 0; sweep < sweeps && least > 0; sweep++) {
    layers = sweep % 2 === 0 ? sorted(layers, above) : sorted(layers.toReversed(), below).toReversed()
    const found = crossings(layers, below)
    if (found < least) [best, least] = [layers, found]
  }
  return best
}

function sorted(layers: readonly (readonly Item[])[], neighbours: Neighbours): Item[][] {
  const places = new Map<string, number>()
  return layers.map((layer) => {
    const wanted = new Map(
      layer.map(({ key }, i) => [
        key,
        mean((neighbours.get(key) ?? []).flatMap((each) => places.get(each) ?? [])) ?? i,
      ]),
    )
    const made = layer.toSorted((a, b) => (wanted.get(a.key) as number) - (wanted.get(b.key) as number))
    for (const [i, { key }] of made.entries()) places.set(key, i)
    return made
  })
}

function crossings(layers: readonly (readonly Item[])[], below: Neighbours): number {
  let count = 0
  for (const [i, layer] of layers.entries()) {
    const places = new Map((layers[i + 1] ?? []).map(({ key }, place) => [key, place]))
    const ends = layer.map(({ key }) => (below.get(key) ?? []).map((each) => places.get(each) ?? 0))
    for (const [at, left] of ends.entries())
      for (const right of ends.slice(at + 1)) for (const a of left) for (const b of right) if (a > b) count++
  }
  return count
}

function spreadLayer(layer: readonly Item[], neighbours: Neighbours, middles: Map<string, number>): void {
  const wanted = layer.map(
    ({ key }) => mean((neighbours.get(key) ?? []).flatMap((each) => middles.get(each) ?? [])) ?? middles.get(key) ?? 0,
  )
  const found = spread(
    wanted,
    layer.map(({ width }) => width),
    itemGap,
  )
  for (const [i, { key }] of layer.entries()) middles.set(key, found[i] as number)
}

/**
 * Middles in the given order, `gap` apart at least, as near to the wanted ones as they can be together (least squares:
 * neighbours that would touch move as one block around their mean).
 */
export function spread(wanted: readonly number[], widths: readonly number[], gap: number): readonly number[] {
  const offsets: number[] = []
  for (const [i, width] of widths.entries())
    offsets.push(i === 0 ? 0 : (offsets[i - 1] as number) + ((widths[i - 1] as number) + width) / 2 + gap)
  const blocks: { sum: number; count: number }[] = []
  for (const [i, middle] of wanted.entries()) {
    let block = { sum: middle - (offsets[i] as number), count: 1 }
    for (let last = blocks.at(-1); last && last.sum / last.count >= block.sum / block.count; last = blocks.at(-1)) {
      block = { sum: block.sum + last.sum, count: block.count + last.count }
      blocks.pop()
    }
    blocks.push(block)
  }
  const starts = blocks.flatMap(({ sum, count }) => Array.from({ length: count }, () => sum / count))
  return starts.map((start, i) => start + (offsets[i] as number))
}

export const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
