import { type NodeDescription, nodeLabel, type PlanDescription } from './description.js'
import { durationText } from './duration.js'
import type { NodeId } from './nodes.js'
import type { SourcePlan } from './source-plan.js'

/** What stands behind a node's label: bounds and settings. */
export function nodeDetail(node: NodeDescription): string {
  switch (node.kind) {
    case 'source':
      return sourceDetail(node.source)
    case 'eventTime':
      return `out of order ${durationText(node.outOfOrderMs)}, idle after ${durationText(node.idleMs)}`
    case 'asyncMap':
      return `${node.concurrency} at a time, ${node.isOrdered ? 'ordered' : 'unordered'}, timeout ${durationText(node.timeoutMs)}`
    case 'keyed': {
      const { version, ttlMs } = node.state
      const parts = [
        node.bound,
        version > 1 ? `state version ${version}` : undefined,
        ttlMs === undefined ? undefined : `ttl ${durationText(ttlMs)}`,
      ]
      return parts.filter((part) => part !== undefined).join('; ')
    }
    case 'sink':
      if (node.sink.isHeld) return 'held back'
      return [node.sink.format === 'csv' ? 'csv' : undefined, guaranteeOf(node)]
        .filter((part) => part !== undefined)
        .join('; ')
    default:
      return ''
  }
}

/** How often a result comes to where a sink brings it; undefined where nothing is brought anywhere. */
export function guaranteeOf(node: NodeDescription): string | undefined {
  if (node.kind === 'through') return 'exactly once'
  if (node.kind !== 'sink') return undefined
  switch (node.sink.kind) {
    case 'table':
    case 'stream':
    case 'file':
      return 'exactly once'
    case 'http':
    case 'user':
      return 'at least once, with an idempotency key'
    case 'kafka':
      return 'at least once'
    case 'openSearch':
      return 'at least once, each document at its newest version'
  }
}

function sourceDetail(source: SourcePlan): string {
  if (source.kind === 'table') return source.snapshot ? 'snapshot first' : ''
  if (source.kind !== 'files') return ''
  const { format, key, time } = source
  const columns = [...(key === undefined ? [] : [`key ${key}`]), ...(time === undefined ? [] : [`time ${time}`])]
  return [`${format}, to the end`, ...columns].join(', ')
}

/** Nodes that only stand for an output of the one before: they are shown as the name of the edge. */
const isEdge = (node: NodeDescription): boolean => node.kind === 'output'

/**
 * The graph as a text, a line for each step: what follows a step alone stands below it, what several follow is drawn as a
 * tree, and a step that several lead to is drawn once and named by its number where the others lead to it.
 *
 * ```
 * 0 table orders
 * ├─ 2 to file log.ndjson
 * └─ 3 keyBy
 *    4 count perUser  (per key: one number)
 * ```
 */
export function topologyText({ nodes }: PlanDescription): string {
  const followers: NodeId[][] = nodes.map(() => [])
  nodes.forEach((node, id) => {
    for (const input of node.inputs) followers[input]?.push(id)
  })
  const lines: string[] = []
  const drawn = new Set<NodeId>()
  const draw = (id: NodeId, first: string, rest: string): void => {
    const node = nodes[id] as NodeDescription
    const isAgain = drawn.has(id)
    lines.push(`${first}${isAgain ? `→ ${id} ${placedLabel(nodes, id)}` : lineOf(nodes, id)}`)
    if (isAgain) return
    drawn.add(id)
    const next = followers[id] as NodeId[]
    const isAlone = next.length === 1 && node.kind !== 'branch'
    next.forEach((follower, i) => {
      if (isAlone) return draw(follower, rest, rest)
      const isLast = i === next.length - 1
      draw(follower, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`)
    })
  }
  nodes.forEach((node, id) => {
    if (node.kind === 'source') draw(id, '', '')
  })
  return lines.join('\n')
}

function lineOf(nodes: readonly NodeDescription[], id: NodeId): string {
  const detail = nodeDetail(nodes[id] as NodeDescription)
  return `${id} ${placedLabel(nodes, id)}${detail === '' ? '' : `  (${detail})`}`
}

/** What a node is called in pictures. The last output of a branch is the rest; others are counted from 1. */
export function placedLabel(nodes: readonly NodeDescription[], id: NodeId): string {
  const node = nodes[id] as NodeDescription
  const before = isEdge(node) ? nodes[node.inputs[0] as NodeId] : undefined
  if (node.kind !== 'output' || before?.kind !== 'branch') return nodeLabel(node)
  const output = Number(node.output)
  return output === before.outputs - 1 ? 'rest' : `case ${output + 1}`
}
