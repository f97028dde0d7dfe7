import { MillraceError } from '../../runtime/errors.js'
import type { NodeId, PlanNode } from '../plan/nodes.js'

/** Index of a stage. Rows go from lower ones to higher ones only. */
export type StageId = number

/** A node without its functions, as the main thread knows it too. */
export interface NodeShape {
  readonly kind: PlanNode['kind']
  readonly inputs: readonly NodeId[]
}

/** The part of a plan that one task runs without sending rows. */
export type Stage = SourceStage | KeyedStage

interface StageBase {
  readonly id: StageId
  /** In an order in which inputs come first. */
  readonly nodes: readonly NodeId[]
  /** The keyBy nodes at which rows leave. They run in this stage. */
  readonly exits: readonly NodeId[]
}

/** What follows a source, with one task for each of its readable shards. */
export interface SourceStage extends StageBase {
  readonly kind: 'source'
  /** A source node, or a `through` node, whose stream is read here. */
  readonly root: NodeId
}

/** What follows keyBy nodes that meet, with a fixed number of tasks. */
export interface KeyedStage extends StageBase {
  readonly kind: 'keyed'
  /** The keyBy nodes at which rows come in, each with channels of its own. */
  readonly entries: readonly NodeId[]
}

/** How a plan is cut. A pure function of its shape, so that worker and main thread have the same. */
export interface Stages {
  readonly stages: readonly Stage[]
  /** The stage that a keyBy node leads to. */
  readonly stageOfExit: ReadonlyMap<NodeId, StageId>
  /** The nodes of the plan, and behind them keyBy nodes that were put where values of one key meet later ones of it. */
  readonly nodes: readonly NodeShape[]
  /** `keyByPartition` nodes whose rows are sent, because they meet other keyed rows or have several sources. */
  readonly isSent: (node: NodeId) => boolean
}

/** Cuts a plan. Throws PIPELINE_INVALID where keyed and other rows meet, or a step keeps state per key without one. */
export function stagesOf(shapes: readonly NodeShape[]): Stages {
  return new StageCutter(shapes).cut()
}

/** What comes out of a node: how many times its rows were keyed (0: they have no key), and from which roots they are. */
interface Outflow {
  readonly level: number
  readonly roots: readonly NodeId[]
}

class StageCutter {
  readonly #nodes: NodeShape[]
  readonly #planned: number
  readonly #outflows: Outflow[] = []
  /** Forest of the nodes with keys that belong together; a node points to its parent. */
  readonly #parents: NodeId[]

  constructor(shapes: readonly NodeShape[]) {
    this.#nodes = shapes.map(({ kind, inputs }) => ({ kind, inputs }))
    this.#planned = shapes.length
    for (const [id, shape] of shapes.entries()) this.#outflows.push(outflowOf(shape, id, this.#outflows))
    for (const id of shapes.keys()) this.#bringToLevel(id)
    this.#parents = [...this.#nodes.keys()]
    for (const [id, node] of this.#nodes.entries()) {
      if (isKeying(node) || this.#level(id) === 0) continue
      for (const input of node.inputs) this.#parents[this.#component(input)] = this.#component(id)
    }
  }

  #out(id: NodeId): Outflow {
    return this.#outflows[id] as Outflow
  }

  /** The level at which a node runs: that of its output, but for a `through`, whose stream is read without keys. */
  #level(id: NodeId): number {
    const node = this.#nodes[id] as NodeShape
    return this.#out(node.kind === 'through' ? (node.inputs[0] as NodeId) : id).level
  }

  #component(id: NodeId): NodeId {
    let root = id
    while (this.#parents[root] !== root) root = this.#parents[root] as NodeId
    return root
  }

  /** Where rows of a key meet rows of it that were keyed more often, they are sent to where those are. */
  #bringToLevel(id: NodeId): void {
    const node = this.#nodes[id] as NodeShape
    const level = this.#level(id)
    if (level === 0 || isKeying(node)) return
    const inputs = node.inputs.map((input) => (this.#out(input).level === level ? input : this.#rekeyed(input, level)))
    this.#nodes[id] = { kind: node.kind, inputs }
  }

  #rekeyed(input: NodeId, level: number): NodeId {
    for (let id = this.#planned; id < this.#nodes.length; id++)
      if (this.#nodes[id]?.inputs[0] === input && this.#out(id).level === level) return id
    this.#outflows.push({ level, roots: this.#out(input).roots })
    return this.#nodes.push({ kind: 'keyBy', inputs: [input] }) - 1
  }

  cut(): Stages {
    const keying = [...this.#nodes.keys()].filter((id) => isKeying(this.#nodes[id] as NodeShape))
    const entries = new Map<NodeId, NodeId[]>()
    for (const id of keying) entries.set(this.#component(id), [...(entries.get(this.#component(id)) ?? []), id])
    const inPlace = new Set([...entries].filter(([, ids]) => this.#staysInPlace(ids)).map(([component]) => component))
    const keyed = [...entries]
      .filter(([component]) => !inPlace.has(component))
      .sort(
        ([, a], [, b]) =>
          this.#level(a[0] as NodeId) - this.#level(b[0] as NodeId) || (a[0] as number) - (b[0] as number),
      )
    const isSent = (id: NodeId): boolean => isKeying(this.#nodes[id] as NodeShape) && !inPlace.has(this.#component(id))
    const roots = [...this.#nodes.keys()].filter((id) => isRoot(this.#nodes[id] as NodeShape))
    const stages: Stage[] = roots.map((root, id) => {
      const runs = (node: NodeId) => this.#runsBehind(root, node, inPlace)
      return { kind: 'source', id, root, ...this.#members(runs, isSent, [root]) }
    })
    const stageOfExit = new Map<NodeId, StageId>()
    for (const [component, ids] of keyed) {
      const id = stages.length
      for (const entry of ids) stageOfExit.set(entry, id)
      const runs = (node: NodeId) => this.#level(node) > 0 && this.#component(node) === component && !ids.includes(node)
      stages.push({ kind: 'keyed', id, entries: ids, ...this.#members(runs, isSent, ids) })
    }
    return { stages, stageOfExit, nodes: this.#nodes, isSent }
  }

  /** Rows of one source whose partition key is meant need not be sent anywhere. */
  #staysInPlace(ids: readonly NodeId[]): boolean {
    const roots = new Set(ids.flatMap((id) => this.#out(id).roots))
    return (
      roots.size === 1 && ids.every((id) => this.#nodes[id]?.kind === 'keyByPartition' && this.#out(id).level === 1)
    )
  }

  #runsBehind(root: NodeId, id: NodeId, inPlace: ReadonlySet<NodeId>): boolean {
    if (id === root) return this.#nodes[id]?.kind === 'source'
    const node = this.#nodes[id] as NodeShape
    const roots = node.kind === 'through' ? this.#out(node.inputs[0] as NodeId).roots : this.#out(id).roots
    if (!roots.includes(root)) return false
    return this.#level(id) === 0 || inPlace.has(this.#component(id))
  }

  /** The nodes that run in a stage, and behind them the keyBy nodes at which rows leave. */
  #members(
    runs: (node: NodeId) => boolean,
    isSent: (node: NodeId) => boolean,
    begins: readonly NodeId[],
  ): { readonly nodes: readonly NodeId[]; readonly exits: readonly NodeId[] } {
    const all = [...this.#nodes.keys()]
    const own = all.filter(runs)
    // What goes into a `through` comes out of it in another stage.
    const giving = new Set([...begins, ...own.filter((id) => this.#nodes[id]?.kind !== 'through')])
    const exits = all.filter((id) => isSent(id) && giving.has(this.#nodes[id]?.inputs[0] as NodeId))
    return { nodes: [...own, ...exits], exits }
  }
}

const isRoot = ({ kind }: NodeShape): boolean => kind === 'source' || kind === 'through'
const isKeying = ({ kind }: NodeShape): boolean => kind === 'keyBy' || kind === 'keyByPartition'

function outflowOf(node: NodeShape, id: NodeId, before: readonly Outflow[]): Outflow {
  if (isRoot(node)) return { level: 0, roots: [id] }
  const inputs = node.inputs.map((input) => before[input] as Outflow)
  const roots = [...new Set(inputs.flatMap((input) => input.roots))]
  const levels = inputs.map((input) => input.level)
  const level = Math.max(...levels)
  if (isKeying(node)) return { level: level + 1, roots }
  if (level > 0 && levels.includes(0))
    throw invalid(
      `Node ${id} (${node.kind}) takes values with a key and values without one.`,
      'Give both sides a keyBy.',
    )
  if (level === 0 && node.kind === 'keyed')
    throw invalid(`Node ${id} keeps state per key, but its values have none.`, 'Put keyBy or keyByPartition before it.')
  return { level, roots }
}

const invalid = (message: string, remedy: string): MillraceError =>
  new MillraceError('PIPELINE_INVALID', message, { remedy })
