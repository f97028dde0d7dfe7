import type { NodeId, PipelinePlan, PlanNode } from '../../src/operators/plan/index.js'
import { targetOf } from '../../src/operators/plan/index.js'
import type { KeyedContext, KeyedOperator } from '../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from './operator-harness.js'

interface RunRow {
  readonly value: unknown
  readonly key: unknown
  readonly partitionKey: unknown
  readonly time: number
  readonly stamp: number
}

/** What a sink was given, by what it writes to. */
export type Results = ReadonlyMap<string, readonly unknown[]>

type Run = (value: unknown, key: unknown) => unknown

/**
 * A plan run as simply as it can be: one row at a time through the whole graph, one task, one shard of each source. It is a
 * reference that shares nothing with the engine but the plan and the operators.
 */
export class PlanRunner {
  readonly results = new Map<string, unknown[]>()
  readonly #plan: PipelinePlan
  readonly #followers: NodeId[][]
  readonly #keyed = new Map<NodeId, KeyedNodeRun>()
  readonly #latest = new Map<NodeId, number>()
  #watermark = Number.NEGATIVE_INFINITY
  #now = 0

  constructor(plan: PipelinePlan) {
    this.#plan = plan
    this.#followers = plan.nodes.map((_, id) =>
      plan.nodes.flatMap((node, follower) => (node.inputs.includes(id as never) ? [follower] : [])),
    )
    plan.nodes.forEach((node, id) => {
      if (node.kind === 'keyed') this.#keyed.set(id, new KeyedNodeRun(node.make()))
      if (node.kind === 'source') this.#latest.set(id, Number.NEGATIVE_INFINITY)
    })
  }

  /** A record of a source, with the key that `keyByPartition` takes. */
  async push(source: string, value: unknown, partitionKey: unknown, time: number): Promise<void> {
    const id = this.#plan.nodes.findIndex(
      (node) =>
        node.kind === 'source' &&
        (node.source.kind === 'files' ? node.source.paths.join(', ') : node.source.name) === source,
    )
    if (id < 0) throw new Error(`The pipeline has no source ${source}.`)
    await this.#give(id, { value, key: undefined, partitionKey, time, stamp: this.#watermark })
    await this.#advance()
  }

  /** Processing time goes on. */
  async pass(ms: number): Promise<void> {
    this.#now += ms
    for (const [id, run] of this.#keyed) {
      await run.harness.pass(this.#now)
      await this.#drain(id, run)
    }
  }

  /** Every source is at its end: what waits for event time comes. */
  async end(): Promise<void> {
    for (const id of this.#latest.keys()) this.#latest.set(id, Number.POSITIVE_INFINITY)
    await this.#advance()
  }

  async #advance(): Promise<void> {
    this.#watermark = Math.max(this.#watermark, Math.min(...this.#latest.values()))
    for (const [id, run] of this.#keyed) {
      await run.harness.advance(this.#watermark)
      await this.#drain(id, run)
    }
  }

  async #give(from: NodeId, row: RunRow, output?: string): Promise<void> {
    for (const id of this.#followers[from] as NodeId[]) {
      const node = this.#plan.nodes[id] as PlanNode
      if (node.kind === 'output' ? node.output === output : output === undefined) await this.#take(id, node, row, from)
    }
  }

  async #take(id: NodeId, node: PlanNode, row: RunRow, from: NodeId): Promise<void> {
    const { value, key } = row
    const next = (given: unknown) => this.#give(id, { ...row, value: given })
    switch (node.kind) {
      case 'output':
      case 'merge':
        return next(value)
      case 'filter':
        return (await call(node.run, value, key)) ? next(value) : undefined
      case 'map':
      case 'asyncMap':
        return next(await call(node.run, value, key))
      case 'flatMap':
        for (const each of (await call(node.run, value, key)) as Iterable<unknown>) await next(each)
        return
      case 'peek':
        await call(node.run, value, key)
        return next(value)
      case 'eventTime':
        return this.#time(id, node, row)
      case 'branch':
        return this.#branch(id, node.runs as readonly Run[], row)
      case 'keyBy':
        return this.#give(id, { ...row, key: await call(node.run, value, key) })
      case 'keyByPartition':
        return this.#give(id, { ...row, key: row.partitionKey })
      case 'keyed': {
        const run = this.#keyed.get(id) as KeyedNodeRun
        await run.push(row, node.inputs.indexOf(from))
        return this.#drain(id, run)
      }
      case 'sink': {
        const run = 'run' in node.sink ? node.sink.run : undefined
        return this.#result(targetOf(node.sink), run ? await call(run, value, key) : value)
      }
      case 'through': {
        const record = (await call(node.run, value, key)) as { key: string; value: unknown; time?: number }
        this.#result(node.stream, record)
        const time = record.time ?? row.time
        const read = { key: record.key, value: record.value, time, sequence: 1 }
        return this.#give(id, { ...row, value: read, key: undefined, partitionKey: { key: record.key }, time })
      }
      case 'source':
        throw new Error('A source follows nothing.')
    }
  }

  #time(id: NodeId, node: Extract<PlanNode, { kind: 'eventTime' }>, row: RunRow): Promise<void> {
    const time = node.time.run ? (node.time.run(row.value as never, undefined as never) as number) : row.time
    for (const [source, latest] of this.#latest)
      this.#latest.set(source, Math.max(latest, time - node.time.outOfOrderMs - 1))
    return this.#give(id, { ...row, time })
  }

  async #branch(id: NodeId, runs: readonly Run[], row: RunRow): Promise<void> {
    for (const [i, run] of runs.entries()) if (await run(row.value, row.key)) return this.#give(id, row, String(i))
    return this.#give(id, row, String(runs.length))
  }

  #result(target: string, result: unknown): void {
    if (result === null || result === undefined) return
    this.results.set(target, [...(this.results.get(target) ?? []), result])
  }

  async #drain(id: NodeId, run: KeyedNodeRun): Promise<void> {
    for (const { key, value, time, output } of run.harness.emitted.splice(0))
      await this.#give(
        id,
        { value, key: run.keys.get(key), partitionKey: undefined, time, stamp: this.#watermark },
        output,
      )
  }
}

const call = async (run: unknown, value: unknown, key: unknown): Promise<unknown> => (run as Run)(value, key)

/** The operator of a node; user functions see the key as it is, the harness a text of it. */
class KeyedNodeRun {
  readonly keys = new Map<string, unknown>()
  readonly harness: OperatorHarness

  constructor(operator: KeyedOperator) {
    const shown = (context: KeyedContext): KeyedContext =>
      Object.create(context, { key: { value: this.keys.get(context.key as string) } }) as KeyedContext
    this.harness = new OperatorHarness({
      ...(operator.cellsOf ? { cellsOf: (row, input) => operator.cellsOf?.(row, input) ?? [] } : {}),
      ...(operator.cellsOfTimer ? { cellsOfTimer: (timer) => operator.cellsOfTimer?.(timer) ?? [] } : {}),
      onRow: (row, input, context) => operator.onRow(row, input, shown(context)),
      onTimer: (timer, context) => operator.onTimer?.(timer, shown(context)),
    })
  }

  async push({ value, key, time, stamp }: RunRow, input: number): Promise<void> {
    const text = JSON.stringify(key)
    this.keys.set(text, key)
    await this.harness.push(text, value, time, input, stamp)
  }
}
