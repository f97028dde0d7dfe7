import { type Plan, planMark } from '../types.js'
import { fromVersion1 } from '../version-1.js'
import { invalid } from './invalid.js'
import type { KeyedNode, NodeId, PipelinePlan, PlanNode } from './nodes.js'
import { type SinkPlan, targetOf } from './sink-plan.js'
import { type SourcePlan, sourceLabel } from './source-plan.js'
import { linksOf, onErrorOf, type Trail } from './trail.js'

/** Steps of one pipeline, sources and sinks among them. */
export const nodesMax = 200

const nameRule = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$/

/** The plan that a module exports: a flow, or an array of the ends of one pipeline. Throws PIPELINE_INVALID. */
export function planOf(exported: unknown): PipelinePlan {
  const trails = (Array.isArray(exported) ? exported : [exported]).map(markedTrail)
  const [first] = trails
  if (!first) throw noPipeline()
  const other = trails.find(({ name }) => name !== first.name)
  if (other)
    throw invalid(
      `The module exports two pipelines, ${String(first.name)} and ${String(other.name)}.`,
      'Export one from each module, or several ends that began with pipeline() of one name.',
    )
  const links = linksOf(trails)
  const ids = new Map(links.map((link, i) => [link, i]))
  const nodes = links.map(
    ({ node, inputs }) => ({ ...node, inputs: inputs.map((input) => ids.get(input) as number) }) as PlanNode,
  )
  const onError = onErrorOf(trails)
  const plan: PipelinePlan = {
    version: 2,
    name: first.name,
    ...(onError === undefined ? {} : { onError }),
    nodes: withSinkNames(nodes),
  }
  checkPlan(plan)
  return plan
}

function markedTrail(exported: unknown): Trail {
  const marked =
    typeof exported === 'object' && exported !== null
      ? (exported as { [planMark]?: Trail | Plan })[planMark]
      : undefined
  if (!marked) throw noPipeline()
  // A module that an earlier Millrace bundled.
  if (marked.version === 1) return fromVersion1(marked)
  if (marked.version === 2) return marked
  throw invalid(
    `The pipeline was made for version ${String((marked as { version: unknown }).version)} of the plan.`,
    'Deploy it with the millrace command of this version.',
  )
}

const noPipeline = () =>
  invalid(
    'The module exports no pipeline as its default.',
    'End the module with: export default pipeline(NAME).from(...)...to(...)',
  )

/** Sinks that write to one target are told apart by a number behind the name that they would share. */
function withSinkNames(nodes: readonly PlanNode[]): PlanNode[] {
  const given = new Set(nodes.flatMap((node) => (node.kind === 'sink' ? [node.name] : [])))
  const seen = new Map<string, number>()
  return nodes.map((node) => {
    if (node.kind !== 'sink') return node
    let many = (seen.get(node.name) ?? 0) + 1
    // Another sink may have been given such a name.
    while (many > 1 && given.has(`${node.name}#${many}`)) many++
    seen.set(node.name, many)
    return many === 1 ? node : { ...node, name: `${node.name}#${many}` }
  })
}

/** Throws PIPELINE_INVALID, which names the step and what to do. */
export function checkPlan({ name, nodes, onError = 'park' }: PipelinePlan): void {
  if (typeof name !== 'string' || !nameRule.test(name))
    throw invalid(
      `${JSON.stringify(String(name).slice(0, 200))} is no name for a pipeline.`,
      'Use 1 to 128 letters, digits, dots, dashes and underscores.',
    )
  if (onError !== 'park' && onError !== 'stop')
    throw invalid(
      `${name} has onError(${JSON.stringify(String(onError).slice(0, 200))}).`,
      "Use onError('park') or onError('stop').",
    )
  if (nodes.length > nodesMax)
    throw invalid(
      `${name} has ${nodes.length} steps; ${nodesMax} are allowed.`,
      'Split it into two pipelines with a stream between them.',
    )
  if (!nodes.some(({ kind }) => kind === 'sink' || kind === 'through'))
    throw invalid(
      `${name} has no sink: its results would go nowhere.`,
      'End it with .to(table(...)), .to(stream(...)) or .to(file(...)).',
    )
  const names = new Map<string, NodeId>()
  nodes.forEach((node, id) => {
    const where = stepName(name, nodes, id)
    checkInputs(nodes, node, id, where)
    if (node.kind === 'source') checkSource(node.source, name)
    if (node.kind === 'sink') checkSink(node.sink, where)
    if (node.kind === 'through' && !isText(node.stream))
      throw invalid(`${where} has no stream.`, "Name it: .through('name', (value) => ({ key, value })).")
    if (node.kind === 'keyed') checkState(node, id, where, names, nodes)
  })
}

/** Names a step in errors: `Step 3 of clicks (count perUser)`. */
export function stepName(pipeline: string, nodes: readonly PlanNode[], id: NodeId): string {
  const node = nodes[id] as PlanNode
  const kind = node.kind === 'keyed' ? node.operator : node.kind
  return `Step ${id} of ${pipeline} (${kind})`
}

function checkInputs(nodes: readonly PlanNode[], node: PlanNode, id: NodeId, where: string): void {
  const isSource = node.kind === 'source'
  if (isSource !== (node.inputs.length === 0) || node.inputs.some((input) => !(input >= 0 && input < id)))
    throw invalid(`${where} does not follow a step of this pipeline.`, 'Begin with pipeline(NAME).from(SOURCE).')
  for (const input of node.inputs)
    if (nodes[input]?.kind === 'sink') throw invalid(`${where} follows a sink.`, 'Put it behind the step before.')
}

function checkSource(source: SourcePlan, pipeline: string): void {
  if (!isText(sourceLabel(source)))
    throw invalid(`The source of ${pipeline} has no name.`, 'Name the table, stream or files.')
}

function checkSink(sink: SinkPlan, where: string): void {
  if (!isText(targetOf(sink)))
    throw invalid(`${where} has no ${sink.kind === 'file' ? 'path' : 'name'}.`, 'Name where its results go.')
  const isOptional = sink.kind === 'file' || sink.kind === 'http'
  if (sink.kind === 'user') return
  if (!isOptional && typeof sink.run !== 'function')
    throw invalid(`${where} has no function.`, 'Give it one that makes the item or record.')
  if (sink.run !== undefined && typeof sink.run !== 'function')
    throw invalid(`${where} was given something that is no function.`, 'Leave it out or give a function.')
}

function checkState(
  node: KeyedNode,
  id: NodeId,
  where: string,
  names: Map<string, NodeId>,
  nodes: readonly PlanNode[],
): void {
  if (typeof node.name !== 'string' || !nameRule.test(node.name))
    throw invalid(
      `${where} has no name for its state.`,
      `Name it with 1 to 128 letters, digits, dots, dashes and underscores: .${node.operator}('perKey').`,
    )
  if (names.has(node.name))
    throw invalid(
      `${where} has the name ${node.name}, which step ${names.get(node.name)} has.`,
      'State belongs to a name: give each step its own.',
    )
  names.set(node.name, id)
  for (const input of node.inputs)
    if (!isKeyed(nodes, input))
      throw invalid(
        `${where} keeps state per key, but nothing says which key.`,
        'Put .keyBy((value) => key) or .keyByPartition() before it.',
      )
}

/** Whether the values that a node gives belong to a key. */
export function isKeyed(nodes: readonly PlanNode[], id: NodeId): boolean {
  const node = nodes[id] as PlanNode
  switch (node.kind) {
    case 'keyBy':
    case 'keyByPartition':
    case 'keyed':
      return true
    case 'source':
    case 'through':
    case 'eventTime':
      return false
    default:
      return node.inputs.every((input) => isKeyed(nodes, input))
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
