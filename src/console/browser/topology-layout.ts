import { arranged, type Item, itemGap, type Link, mean, spread } from './layers.js'

/** A node as far as its place in the picture goes. */
export interface PlacedNode {
  readonly node: number
  readonly inputs: readonly number[]
  readonly stages: readonly number[]
}

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Nodes of the same stages stand in one area, and no other node does. */
export interface Area extends Box {
  readonly stages: readonly number[]
}

type Point = readonly [x: number, y: number]

/** A line from the bottom of a node to the top of another, through these points. */
export interface Line {
  readonly from: number
  readonly to: number
  readonly points: readonly Point[]
  /** It leads from one stage to another. */
  readonly isSent: boolean
}

export interface Layout {
  readonly width: number
  readonly height: number
  readonly boxes: ReadonlyMap<number, Box>
  readonly areas: readonly Area[]
  readonly lines: readonly Line[]
}

export const boxWidth = 208
export const boxHeight = 58
const laneWidth = 10
const layerHeight = boxHeight + 26
/** Around the nodes of an area; its title stands in the upper part. */
const areaPadding = 12
export const areaTitle = 20
const areaGap = 24
const bandGap = 40
const margin = 4

interface Edge {
  readonly from: number
  readonly to: number
}

/** Nodes of the same stages, laid out by themselves. */
interface Group {
  readonly stages: readonly number[]
  readonly nodes: readonly PlacedNode[]
  /** How many areas lie above it at least. */
  depth: number
  /** By node. */
  readonly layers: ReadonlyMap<number, number>
  readonly layerCount: number
}

/**
 * Lays a graph out from the top to the bottom. Stages are areas, side by side where neither leads to the other; within
 * one its nodes stand in layers, each below what leads to it. Lines that pass layers or areas get lanes of their own, so
 * that none runs behind a node.
 */
export function layoutOf(nodes: readonly PlacedNode[]): Layout {
  const groups = groupsOf(nodes)
  const groupOf = new Map(groups.flatMap((group) => group.nodes.map(({ node }) => [node, group] as const)))
  const edges = nodes.flatMap(({ node, inputs }) => [...new Set(inputs)].map((from): Edge => ({ from, to: node })))
  const isSent = ({ from, to }: Edge): boolean => groupOf.get(from) !== groupOf.get(to)
  const sent = edges.filter(isSent)
  const items = new Map(groups.map((group) => [group, arrangedGroup(group, edges, sent)]))
  const columns = columnsOf(groups, sent, groupOf, items)
  const placed = placedColumns(columns, groups)
  const left = Math.min(...placed.columns.map(({ middle, width }) => middle - width / 2)) - margin
  const right = Math.max(...placed.columns.map(({ middle, width }) => middle + width / 2)) + margin
  const areas: Area[] = []
  const boxes = new Map<number, Box>()
  const lanes = new Map<string, readonly Point[]>()
  for (const { group, key, depth, middle, width, xs } of placed.columns) {
    const top = placed.tops[depth] as number
    if (!group) {
      lanes.set(key, [
        [middle - left, top],
        [middle - left, top + (placed.heights[depth] as number)],
      ])
      continue
    }
    const shift = middle - left
    areas.push({ stages: group.stages, x: shift - width / 2, y: top, width, height: areaHeight(group) })
    const first = top + areaTitle + areaPadding
    for (const { node } of group.nodes) {
      const y = first + (group.layers.get(node) as number) * layerHeight
      boxes.set(node, { x: shift + (xs?.get(`${node}`) ?? 0) - boxWidth / 2, y, width: boxWidth, height: boxHeight })
    }
    for (const [item, x] of xs ?? []) {
      const layer = laneLayer(item)
      if (layer !== undefined)
        lanes.set(item, [
          [shift + x, first + layer * layerHeight],
          [shift + x, first + layer * layerHeight + boxHeight],
        ])
    }
  }
  const bandOf = (group: Group): readonly [number, number] => {
    const top = placed.tops[group.depth] as number
    return [top, top + (placed.heights[group.depth] as number)]
  }
  const lines = edges.map((edge): Line => {
    const [from, to] = [groupOf.get(edge.from) as Group, groupOf.get(edge.to) as Group]
    const [a, b] = [boxes.get(edge.from) as Box, boxes.get(edge.to) as Box]
    const begin: Point = [a.x + a.width / 2, a.y + a.height]
    const end: Point = [b.x + b.width / 2, b.y]
    const [fromLayer, toLayer] = [layerOf(from, edge.from), layerOf(to, edge.to)]
    const along = (name: string, first: number, last: number): readonly Point[] =>
      lanesOf(name, first, last).flatMap((key) => lanes.get(key) ?? [])
    if (!isSent(edge)) {
      const points = [begin, ...along(`edge ${edge.from} ${edge.to}`, fromLayer + 1, toLayer), end]
      return { ...edge, isSent: false, points }
    }
    // It runs straight up to the border of its band, so that it meets no area that is longer than its own.
    const out = [begin, ...along(`out ${edge.from}`, fromLayer + 1, from.layerCount)]
    const into = [...along(`in ${edge.to}`, 0, toLayer), end]
    const passed = along(`band ${edge.from} ${edge.to}`, from.depth + 1, to.depth)
    const leaves: Point = [(out.at(-1) as Point)[0], bandOf(from)[1]]
    const enters: Point = [(into[0] as Point)[0], bandOf(to)[0]]
    return { ...edge, isSent: true, points: [...out, leaves, ...passed, enters, ...into] }
  })
  const lowest = placed.tops.length - 1
  const height = placed.tops.length === 0 ? 0 : (placed.tops[lowest] as number) + (placed.heights[lowest] as number)
  return { width: Number.isFinite(left) ? right - left : 0, height: height + margin, boxes, areas, lines }
}

function groupsOf(nodes: readonly PlacedNode[]): Group[] {
  const byStages = new Map<string, PlacedNode[]>()
  for (const node of nodes) byStages.set(node.stages.join(' '), [...(byStages.get(node.stages.join(' ')) ?? []), node])
  const groups = [...byStages.values()].map((own): Group => {
    const layers = new Map<number, number>()
    // Inputs come before the nodes that take them.
    for (const { node, inputs } of own)
      layers.set(
        node,
        Math.max(0, ...inputs.flatMap((input) => (layers.has(input) ? (layers.get(input) as number) + 1 : []))),
      )
    return { stages: own[0]?.stages ?? [], nodes: own, depth: 0, layers, layerCount: Math.max(...layers.values()) + 1 }
  })
  const groupOf = new Map(groups.flatMap((group) => group.nodes.map(({ node }) => [node, group] as const)))
  // The longest way to each: rows go one way only, so it is found after as many rounds as there are groups.
  for (let round = 0; round < groups.length; round++)
    for (const { node, inputs } of nodes)
      for (const input of inputs) {
        const [from, to] = [groupOf.get(input) as Group, groupOf.get(node) as Group]
        if (from !== to) to.depth = Math.min(groups.length, Math.max(to.depth, from.depth + 1))
      }
  return groups
}

const layerOf = ({ layers }: Group, node: number): number => layers.get(node) as number

/** The lanes of a line in the layers from `first` on, before `end`. */
const lanesOf = (name: string, first: number, end: number): string[] =>
  Array.from({ length: Math.max(0, end - first) }, (_, i) => `${name} @${first + i}`)

const laneLayer = (key: string): number | undefined => (key.includes('@') ? Number(key.split('@')[1]) : undefined)

/** The middles of the nodes and lanes of a group, around its own. */
function arrangedGroup(
  { nodes, layers, layerCount }: Group,
  edges: readonly Edge[],
  sent: readonly Edge[],
): ReadonlyMap<string, number> {
  const items: Item[] = nodes.map(({ node }) => ({
    key: `${node}`,
    layer: layers.get(node) as number,
    width: boxWidth,
  }))
  const links: Link[] = []
  const chain = (from: string | undefined, lanes: readonly string[], to: string | undefined): void => {
    for (const key of lanes) items.push({ key, layer: laneLayer(key) as number, width: laneWidth })
    const keys = [...(from === undefined ? [] : [from]), ...lanes, ...(to === undefined ? [] : [to])]
    for (const [i, key] of keys.slice(1).entries()) links.push({ from: keys[i] as string, to: key })
  }
  for (const { from, to } of edges)
    if (layers.has(from) && layers.has(to))
      chain(
        `${from}`,
        lanesOf(`edge ${from} ${to}`, (layers.get(from) as number) + 1, layers.get(to) as number),
        `${to}`,
      )
  for (const from of new Set(sent.map((edge) => edge.from)))
    if (layers.has(from))
      chain(`${from}`, lanesOf(`out ${from}`, (layers.get(from) as number) + 1, layerCount), undefined)
  for (const to of new Set(sent.map((edge) => edge.to)))
    if (layers.has(to)) chain(undefined, lanesOf(`in ${to}`, 0, layers.get(to) as number), `${to}`)
  const middles = arranged(items, links)
  const widths = new Map(items.map(({ key, width }) => [key, width]))
  const ends = [...middles].map(([key, middle]) => [middle, (widths.get(key) as number) / 2] as const)
  const center = (Math.min(...ends.map(([x, half]) => x - half)) + Math.max(...ends.map(([x, half]) => x + half))) / 2
  return new Map([...middles].map(([key, middle]) => [key, middle - center]))
}

/** What stands side by side in a band: a group, or the lane of a line that passes it. */
interface Column {
  readonly group: Group | undefined
  readonly key: string
  readonly depth: number
  readonly width: number
  /** Keys of the columns that lead to it. */
  readonly from: readonly string[]
  readonly xs: ReadonlyMap<string, number> | undefined
}

function columnsOf(
  groups: readonly Group[],
  sent: readonly Edge[],
  groupOf: ReadonlyMap<number, Group>,
  items: ReadonlyMap<Group, ReadonlyMap<string, number>>,
): Column[] {
  const keyOf = (group: Group): string => `group ${group.stages.join(' ')}`
  const from = new Map<Group, string[]>()
  const lanes: Column[] = []
  for (const edge of sent) {
    const [source, target] = [groupOf.get(edge.from) as Group, groupOf.get(edge.to) as Group]
    let before = keyOf(source)
    for (const key of lanesOf(`band ${edge.from} ${edge.to}`, source.depth + 1, target.depth)) {
      const depth = laneLayer(key) as number
      lanes.push({ group: undefined, key, depth, width: laneWidth, from: [before], xs: undefined })
      before = key
    }
    from.set(target, [...(from.get(target) ?? []), before])
  }
  const own = groups.map((group): Column => {
    const xs = items.get(group) ?? new Map<string, number>()
    const widest = Math.max(
      ...[...xs].map(([key, x]) => Math.abs(x) + (laneLayer(key) === undefined ? boxWidth : laneWidth) / 2),
    )
    return {
      group,
      key: keyOf(group),
      depth: group.depth,
      width: 2 * (widest + areaPadding),
      from: from.get(group) ?? [],
      xs,
    }
  })
  return [...own, ...lanes]
}

const areaHeight = ({ layerCount }: Group): number =>
  areaTitle + 2 * areaPadding + layerCount * layerHeight - (layerHeight - boxHeight)

interface PlacedColumns {
  readonly columns: readonly (Column & { readonly middle: number })[]
  readonly tops: readonly number[]
  readonly heights: readonly number[]
}

/** Band by band, each column below what leads to it. */
function placedColumns(columns: readonly Column[], groups: readonly Group[]): PlacedColumns {
  const middles = new Map<string, number>()
  const bands = Math.max(-1, ...groups.map(({ depth }) => depth)) + 1
  const heights = Array.from({ length: bands }, (_, depth) =>
    Math.max(...groups.filter((group) => group.depth === depth).map(areaHeight), 0),
  )
  const tops: number[] = []
  for (let depth = 0; depth < bands; depth++) {
    tops.push(depth === 0 ? margin : (tops[depth - 1] as number) + (heights[depth - 1] as number) + bandGap)
    const band = columns
      .filter((column) => column.depth === depth)
      .map((column, i) => ({ column, wanted: mean(column.from.flatMap((key) => middles.get(key) ?? [])) ?? i }))
      .toSorted((a, b) => a.wanted - b.wanted)
    const found = spread(
      band.map(({ wanted }) => wanted),
      band.map(({ column }) => column.width),
      Math.max(areaGap, itemGap),
    )
    for (const [i, { column }] of band.entries()) middles.set(column.key, found[i] as number)
  }
  return { columns: columns.map((column) => ({ ...column, middle: middles.get(column.key) as number })), tops, heights }
}
