import type { GraphNode, PipelineStage } from './answers.js'
import { element, svgElement } from './element.js'
import { count, perSecond } from './format.js'
import { type Area, areaTitle, type Box, boxWidth, type Layout, type Line, layoutOf } from './topology-layout.js'

/** Graphs of more nodes are not drawn: nobody could read them, and the table below has all of it. */
const drawnMax = 120
/** What fits into a box; a letter of its type is about so wide. */
const labelWidth = 7.4
const smallWidth = 6.2
const inset = 10

/** The steps of a pipeline and what leads to what. The table below says the same in words. */
export function topology(graph: readonly GraphNode[], stages: readonly PipelineStage[]): HTMLElement {
  if (graph.length > drawnMax)
    return element('p', { class: 'quiet' }, `The graph of ${graph.length} steps is too large to be drawn.`)
  const layout = layoutOf(graph)
  const { width, height } = layout
  const drawing = svgElement(
    'svg',
    {
      class: 'topology',
      width: Math.ceil(width),
      height: Math.ceil(height),
      viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`,
      role: 'img',
      'aria-label': `Topology: ${graph.length} steps in ${stages.length} stages`,
    },
    ...layout.areas.map((area) => areaOf(area, stages)),
    ...layout.lines.map(lineOf),
    ...graph.map((node) => boxOf(node, layout)),
  )
  return element('div', { class: 'scroll', role: 'region', 'aria-label': 'Topology', tabindex: 0 }, drawing)
}

function areaOf({ stages, x, y, width, height }: Area, known: readonly PipelineStage[]): SVGElement {
  const names = stages.flatMap((stage) => known.filter((each) => each.stage === stage).map(({ label }) => label))
  const title = `${stages.length > 1 ? 'stages' : 'stage'} ${stages.join(', ')}: ${names.join(', ')}`
  return svgElement(
    'g',
    { class: 'area' },
    svgElement('rect', { x: x.toFixed(1), y, width: width.toFixed(1), height, rx: 8 }),
    svgElement('title', {}, title),
    svgElement(
      'text',
      { class: 'small', x: (x + inset).toFixed(1), y: y + areaTitle - 2 },
      fitting(title, (width - 2 * inset) / smallWidth),
    ),
  )
}

function lineOf({ points, isSent }: Line): SVGElement {
  const [first, ...rest] = points.map(([x, y]) => [x.toFixed(1), y.toFixed(1)] as const)
  let path = `M${first?.join(' ')}`
  let [beforeX, beforeY] = points[0] ?? [0, 0]
  for (const [i, [x, y]] of rest.entries()) {
    const [toX, toY] = points[i + 1] as readonly [number, number]
    const middle = ((beforeY + toY) / 2).toFixed(1)
    path += toX === beforeX ? `V${y}` : `C${beforeX.toFixed(1)} ${middle} ${x} ${middle} ${x} ${y}`
    beforeX = toX
    beforeY = toY
  }
  return svgElement('path', { class: isSent ? 'line sent' : 'line', d: path })
}

function boxOf(node: GraphNode, { boxes }: Layout): SVGElement {
  const { x, y, width, height } = boxes.get(node.node) as Box
  const label = `${node.node} ${node.label}`
  const detail = node.guarantee ?? node.detail
  const says = [
    `${perSecond(node.rowsPerSecond)}, ${count(node.rowsIn)} in all`,
    node.parked > 0 ? `${count(node.parked)} parked` : undefined,
  ]
  const line = (kind: string, at: number, text: string, letter: number) =>
    svgElement('text', { class: kind, x: inset, y: at }, fitting(text, (boxWidth - 2 * inset) / letter))
  // What is drawn into it ends at its border, however wide the letters of a name are.
  return svgElement(
    'svg',
    { class: boxClass(node), x: x.toFixed(1), y, width, height },
    svgElement('title', {}, [label, node.detail, node.guarantee].filter((text) => text).join('\n')),
    svgElement('rect', { x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 6 }),
    line('label', 18, label, labelWidth),
    line('small', 34, detail, smallWidth),
    line('small', 50, says.filter((text) => text !== undefined).join(', '), smallWidth),
  )
}

function boxClass({ kind, parked, failures }: GraphNode): string {
  const shape = kind === 'source' || kind === 'through' ? 'source' : kind === 'sink' ? 'sink' : 'step'
  return `box ${shape}${parked > 0 || failures > 0 ? ' troubled' : ''}`
}

function fitting(text: string, letters: number): string {
  const all = [...text]
  return all.length <= letters ? text : `${all.slice(0, Math.floor(letters) - 1).join('')}…`
}
