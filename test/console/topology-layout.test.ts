import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spread } from '../../src/console/browser/layers.js'
import { type Box, type Layout, layoutOf, type PlacedNode } from '../../src/console/browser/topology-layout.js'
import { type NodeShape, stagesOf } from '../../src/operators/task/stages.js'

/** The graph of a plan, in the stages that the daemon would run it in. */
function placed(shapes: readonly NodeShape[]): PlacedNode[] {
  const { stages } = stagesOf(shapes)
  return shapes.map(({ inputs }, node) => ({
    node,
    inputs,
    stages: stages.filter((stage) => stage.nodes.includes(node)).map(({ id }) => id),
  }))
}

/** Plans of 1 to 40 steps: several sources, branches, merges, re-keyings and `through` in any order that is allowed. */
const plans: fc.Arbitrary<PlacedNode[]> = fc
  .tuple(
    fc.array(
      fc.tuple(
        fc.constantFrom('map', 'merge', 'keyBy', 'keyed', 'branch', 'through', 'source', 'sink'),
        fc.nat(),
        fc.nat(),
      ),
      {
        maxLength: 40,
      },
    ),
  )
  .map(([steps]) => {
    let shapes: NodeShape[] = [{ kind: 'source', inputs: [] }]
    for (const [kind, a, b] of steps) {
      const open = shapes.flatMap((shape, id) => (shape.kind === 'sink' ? [] : [id]))
      const inputs = [open[a % open.length]!, open[b % open.length]!]
      const shape = {
        kind,
        inputs: kind === 'source' ? [] : kind === 'merge' ? [...new Set(inputs)] : inputs.slice(0, 1),
      } as NodeShape
      try {
        // What no deploy would take is left out.
        stagesOf([...shapes, shape])
        shapes = [...shapes, shape]
      } catch {}
    }
    return placed(shapes)
  })

const right = ({ x, width }: Box): number => x + width
const bottom = ({ y, height }: Box): number => y + height
const overlap = (a: Box, b: Box): boolean => a.x < right(b) && b.x < right(a) && a.y < bottom(b) && b.y < bottom(a)
const isWithin = (inner: Box, outer: Box): boolean =>
  inner.x >= outer.x && right(inner) <= right(outer) && inner.y >= outer.y && bottom(inner) <= bottom(outer)

/** Whether a line runs through a box, looked at in small steps. */
function meets([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number], box: Box): boolean {
  const around = { x: Math.min(x1, x2), y: y1, width: Math.abs(x2 - x1) + 1e-9, height: y2 - y1 }
  if (!overlap(around, box)) return false
  for (let part = 0.01; part < 1; part += 0.01) {
    const [x, y] = [x1 + (x2 - x1) * part, y1 + (y2 - y1) * part]
    if (x > box.x && x < right(box) && y > box.y && y < bottom(box)) return true
  }
  return false
}

function check(nodes: readonly PlacedNode[], { boxes, areas, lines, width, height }: Layout): void {
  expect(boxes.size).toBe(nodes.length)
  const all = [...boxes.values()]
  for (const [i, box] of all.entries()) {
    expect(isWithin(box, { x: 0, y: 0, width, height })).toBe(true)
    expect(all.slice(i + 1).some((other) => overlap(box, other))).toBe(false)
  }
  for (const [i, area] of areas.entries())
    for (const other of areas.slice(i + 1)) expect(overlap(area, other)).toBe(false)
  for (const { node, stages } of nodes)
    for (const area of areas) expect(isWithin(boxes.get(node)!, area)).toBe(area.stages.join() === stages.join())
  expect(new Set(lines.map(({ from, to }) => `${from} ${to}`))).toEqual(
    new Set(nodes.flatMap(({ node, inputs }) => inputs.map((from) => `${from} ${node}`))),
  )
  for (const { points } of lines)
    for (const [i, point] of points.slice(1).entries()) {
      expect(point[1]).toBeGreaterThanOrEqual(points[i]![1])
      expect(Number.isFinite(point[0])).toBe(true)
      expect(all.some((box) => meets(points[i]!, point, box))).toBe(false)
    }
}

describe('the layout of a topology', () => {
  test('shows every step once, each below what leads to it, its stage around it, and no line behind another step', () => {
    fc.assert(
      fc.property(plans, (nodes) => check(nodes, layoutOf(nodes))),
      { numRuns: 300 },
    )
  })

  test('draws a line of 40 steps straight down', () => {
    const nodes = Array.from({ length: 40 }, (_, node) => ({ node, inputs: node === 0 ? [] : [node - 1], stages: [0] }))
    const layout = layoutOf(nodes)
    check(nodes, layout)
    expect(new Set([...layout.boxes.values()].map(({ x }) => x)).size).toBe(1)
    expect(layout.width).toBeLessThan(260)
  })

  test('draws the ways of a branch side by side and crosses none of them', () => {
    const nodes = placed([
      { kind: 'source', inputs: [] },
      { kind: 'branch', inputs: [0] },
      ...[0, 1, 2].map((): NodeShape => ({ kind: 'output', inputs: [1] })),
      { kind: 'map', inputs: [4] },
      { kind: 'map', inputs: [3] },
      { kind: 'map', inputs: [2] },
      { kind: 'merge', inputs: [5, 6, 7] },
    ])
    const { boxes } = layoutOf(nodes)
    const middle = (node: number) => boxes.get(node)!.x
    for (const [output, map] of [
      [2, 7],
      [3, 6],
      [4, 5],
    ])
      expect(middle(map!)).toBeCloseTo(middle(output!))
    expect(new Set([2, 3, 4].map((node) => boxes.get(node)!.y)).size).toBe(1)
    expect(middle(8)).toBeCloseTo(middle(1))
  })

  test('is there for no step at all', () => {
    expect(layoutOf([])).toMatchObject({ areas: [], lines: [] })
  })
})

test('what is spread keeps its order and its gaps, and stays where it wants to be if it can', () => {
  expect(spread([0, 100], [10, 10], 5)).toEqual([0, 100])
  expect(spread([0, 0], [10, 10], 5)).toEqual([-7.5, 7.5])
  const lists = fc.array(fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: 300 })), {
    maxLength: 20,
  })
  fc.assert(
    fc.property(lists, (list) => {
      const [wanted, widths] = [list.map(([at]) => at), list.map(([, width]) => width)]
      const found = spread(wanted, widths, 7)
      for (const [i, at] of found.slice(1).entries())
        expect(at - found[i]!).toBeGreaterThanOrEqual((widths[i]! + widths[i + 1]!) / 2 + 7 - 1e-6)
      expect(found.reduce((sum, at, i) => sum + at - wanted[i]!, 0)).toBeCloseTo(0)
    }),
  )
})
