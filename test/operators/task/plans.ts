import type { KeyedNode, NodeId, PipelinePlan, PlanNode, UserFunction } from '../../../src/operators/plan/nodes.js'
import type { KeyedContext, KeyedOperator, Row } from '../../../src/operators/task/keyed-operator.js'
import { streamRecord } from '../../../src/testing/entries.js'
import { MemoryPipeline, type MemoryPipelineOptions } from '../../../src/testing/memory-pipeline.js'

type Loose = (value: never, key: never) => unknown

/** Plans by hand, node by node: each call gives the node's id. */
export class PlanBuilder {
  readonly nodes: PlanNode[] = []

  #add(node: PlanNode): NodeId {
    return this.nodes.push(node) - 1
  }

  source(name = 's'): NodeId {
    return this.#add({ kind: 'source', source: { kind: 'stream', name }, inputs: [] } as PlanNode)
  }

  step(kind: 'filter' | 'map' | 'flatMap' | 'peek' | 'keyBy', input: NodeId, run: Loose): NodeId {
    return this.#add({ kind, inputs: [input], run: run as UserFunction })
  }

  keyByPartition(input: NodeId): NodeId {
    return this.#add({ kind: 'keyByPartition', inputs: [input] })
  }

  eventTime(input: NodeId, run: Loose, outOfOrderMs = 0): NodeId {
    return this.#add({
      kind: 'eventTime',
      inputs: [input],
      time: { run: run as UserFunction, outOfOrderMs, idleMs: 1000 },
    })
  }

  asyncMap(input: NodeId, run: Loose, concurrency: number, isOrdered: boolean): NodeId {
    return this.#add({
      kind: 'asyncMap',
      inputs: [input],
      run: run as UserFunction,
      concurrency,
      isOrdered,
      timeoutMs: 1000,
    })
  }

  branch(input: NodeId, ...runs: Loose[]): NodeId {
    return this.#add({ kind: 'branch', inputs: [input], runs: runs as UserFunction[] })
  }

  output(input: NodeId, output: string): NodeId {
    return this.#add({ kind: 'output', inputs: [input], output })
  }

  merge(...inputs: NodeId[]): NodeId {
    return this.#add({ kind: 'merge', inputs })
  }

  keyed(name: string, inputs: readonly NodeId[], make: () => KeyedOperator, sides: readonly string[] = []): NodeId {
    const state: KeyedNode['state'] = { version: 1, migrate: undefined, ttlMs: undefined }
    return this.#add({ kind: 'keyed', operator: name, name, inputs, sides, state, make })
  }

  through(input: NodeId, stream: string, run: Loose): NodeId {
    return this.#add({ kind: 'through', inputs: [input], stream, run: run as UserFunction })
  }

  /** Gathers `[key, value]` as lines. */
  sink(input: NodeId): NodeId {
    const run = ((value: unknown, key: unknown) => [key, value]) as unknown as UserFunction
    return this.#add({
      kind: 'sink',
      inputs: [input],
      name: `sink${this.nodes.length}`,
      sink: { kind: 'file', path: `f${this.nodes.length}`, run } as never,
    })
  }

  get plan(): PipelinePlan {
    return { version: 2, name: 'p', nodes: this.nodes }
  }
}

export function pipelineOf(plan: PipelinePlan, options: Partial<MemoryPipelineOptions> = {}): MemoryPipeline {
  return new MemoryPipeline({
    plan,
    seed: 1,
    shards: 2,
    tasks: 3,
    now: 0,
    bounds: { stateBytesMax: () => 1 << 20, timersMax: 1000, messageRowsMax: 4 },
    sinkKeys: {},
    hashKeyNames: new Map(),
    ...options,
  })
}

/** What the sink of a node was given and has committed, in order. */
export function linesOf(pipeline: MemoryPipeline, sink: NodeId): [unknown, unknown][] {
  return pipeline.store.outputs
    .filter(({ node }) => node === sink)
    .flatMap(({ entries }) => entries.map((entry) => JSON.parse(entry) as [unknown, unknown]))
}

export function push(pipeline: MemoryPipeline, root: NodeId, key: string, value: unknown, time = 0): number {
  return pipeline.append(root, streamRecord(key, JSON.stringify(value), time))
}

/** Counts the rows of a key, by input; gives on `[count of input 0, count of input 1]`, or a number for one input. */
export const counting = (inputs = 1): KeyedOperator => ({
  onRow(_row: Row, input: number, context: KeyedContext) {
    const counts = [...((context.get() as number[] | undefined) ?? new Array<number>(inputs).fill(0))]
    counts[input] = (counts[input] as number) + 1
    context.put(counts)
    context.emit(inputs === 1 ? counts[0] : counts)
  },
})

export const summing = (of: (value: unknown) => number): KeyedOperator => ({
  onRow(row, _input, context) {
    const sum = ((context.get() as number | undefined) ?? 0) + of(row.value)
    context.put(sum)
    context.emit(sum)
  },
})

/** Sums per window of a fixed size, given on when the watermark has reached the window's end; late rows go to `late`. */
export const windowSum = (size: number, of: (value: unknown) => number): KeyedOperator => {
  const windowOf = (time: number): number => Math.floor(time / size) * size
  return {
    cellsOf: (row) => [windowOf(row.time)],
    cellsOfTimer: (timer) => [timer.tag],
    onRow(row, _input, context) {
      const start = windowOf(row.time)
      if (start + size - 1 <= row.stamp) {
        context.count('late')
        context.side('late', row.value)
        return
      }
      context.put(((context.get(start) as number | undefined) ?? 0) + of(row.value), start)
      context.setTimer(start + size - 1, start)
    },
    onTimer(timer, context) {
      context.emit([timer.tag, context.get(timer.tag)])
      context.put(undefined, timer.tag)
    },
  }
}
