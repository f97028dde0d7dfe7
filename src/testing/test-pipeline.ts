import { deepStrictEqual } from 'node:assert/strict'
import type { Duration, Source } from '../operators/index.js'
import {
  durationMs,
  type FilesPlan,
  type NodeId,
  type PipelinePlan,
  planOf,
  sourceLabel,
} from '../operators/plan/index.js'
import { StepError } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import type { KeySchema } from '../tables/values/index.js'
import { checkChange, checkComparison, checkOptions, checkRecord, jsonOfRecord } from './check-inputs.js'
import { comparable } from './comparable.js'
import { streamRecord } from './entries.js'
import { MemoryPipeline } from './memory-pipeline.js'
import { Results } from './results.js'
import { changeRecord, schemaOf } from './source-records.js'
import { StateLookup } from './state-lookup.js'
import type { PushedInput, TestCell, TestChange, TestInput, TestOptions, TestRecord } from './test-inputs.js'

/** Open shards of a source above which chance splits none. */
const chanceShardsMax = 8
/** Crashes by chance in a row; then it waits for a commit, to which a pipeline of many tasks would never come. */
const chanceCrashesMax = 10

/**
 * Opens a pipeline in memory, in virtual time: the value that a module exports, run by the code that runs it in the daemon,
 * over several shards and tasks, with barriers and interleavings that follow from the seed.
 * Throws PIPELINE_INVALID as a deploy does.
 */
export async function testPipeline(pipeline: object, options: TestOptions = {}): Promise<TestPipeline> {
  const test = new TestPipeline(planOf(pipeline), options)
  await test.crash()
  return test
}

export class TestPipeline {
  readonly #plan: PipelinePlan
  readonly #options: TestOptions
  readonly #schemas: ReadonlyMap<string, KeySchema>
  readonly #memory: MemoryPipeline
  readonly #results: Results
  readonly #lookup: StateLookup
  readonly #pushed: PushedInput[] = []
  /** What a step threw; until a crash nothing goes on. */
  #failure: MillraceError | undefined

  /** As `testPipeline`, which also opens it. */
  constructor(plan: PipelinePlan, options: TestOptions) {
    checkOptions(options)
    this.#plan = plan
    this.#options = options
    this.#schemas = new Map(Object.entries(options.tables ?? {}).map(([name, key]) => [name, schemaOf(key)]))
    const { seed = 1, shards = 2, tasks = 2, now = 0 } = options
    const sinkKeys: Record<NodeId, KeySchema> = {}
    const hashKeyNames = new Map<NodeId, string>()
    plan.nodes.forEach((node, id) => {
      if (node.kind === 'sink' && node.sink.kind === 'table') sinkKeys[id] = this.#schema(node.sink.name)
      if (node.kind === 'source' && node.source.kind === 'table')
        hashKeyNames.set(id, this.#schema(node.source.name).hash.name)
    })
    // Little memory, so that state and timers go to the store and come back.
    const bounds = { stateBytesMax: () => 64 * 1024, timersMax: 64, messageRowsMax: 8 }
    this.#memory = new MemoryPipeline({ plan, seed, shards, tasks, now, bounds, sinkKeys, hashKeyNames })
    this.#results = new Results(plan, this.#memory.store, this.#schemas)
    this.#lookup = new StateLookup(plan, this.#memory.stages, this.#memory.store, this.#schemas)
  }

  #schema(table: string): KeySchema {
    const schema = this.#schemas.get(table)
    if (schema) return schema
    throw new MillraceError('BAD_REQUEST', `The key of the table ${table} is not known.`, {
      remedy: `Say it: testPipeline(pipeline, { tables: { ${JSON.stringify(table)}: { hash: 'id' } } }).`,
    })
  }

  /** Virtual time, milliseconds since 1970. */
  get now(): number {
    return this.#memory.time.now
  }

  /**
   * Gives records to a stream, or changes to a table, and runs the pipeline until all of them are committed. The source is
   * named, or given as the pipeline has it: then the records are checked by its type.
   */
  async push<Value, Key>(source: Source<Value, Key>, ...inputs: readonly TestInput<Value>[]): Promise<void>
  async push(source: string, ...inputs: readonly (TestRecord | TestChange)[]): Promise<void>
  async push(
    source: string | Source<unknown, unknown>,
    ...inputs: readonly (TestRecord | TestChange)[]
  ): Promise<void> {
    const name = typeof source === 'string' ? source : sourceLabel(source.source)
    for (const input of inputs) this.#append(name, input)
    await this.#run()
  }

  #append(name: string, input: TestRecord | TestChange): void {
    const roots = this.#rootsOf(name)
    for (const root of roots) {
      const node = this.#plan.nodes[root]
      if (node?.kind === 'source' && node.source.kind === 'table') checkChange(name, input as TestChange)
      else checkRecord(name, input as TestRecord)
    }
    for (const root of roots) {
      const node = this.#plan.nodes[root]
      if (node?.kind === 'source' && node.source.kind === 'table') {
        this.#memory.append(root, changeRecord(name, this.#schema(name), input as TestChange, this.now))
        continue
      }
      const { value, ...given } = input as TestRecord
      const found = node?.kind === 'source' && node.source.kind === 'files' ? columnsOf(node.source, value) : {}
      const { key = name, time = this.now } = { ...found, ...given }
      this.#memory.append(root, streamRecord(key, jsonOfRecord(name, value), time))
    }
    this.#pushed.push({ source: name, input })
  }

  #rootsOf(name: string): readonly NodeId[] {
    const sources = this.#plan.nodes.flatMap((node, id) =>
      node.kind === 'source'
        ? [{ id, name: sourceLabel(node.source) }]
        : node.kind === 'through'
          ? [{ id, name: node.stream }]
          : [],
    )
    const found = sources.filter((source) => source.name === name)
    if (found.length > 0) return found.map(({ id }) => id)
    const names = sources.map((source) => source.name).join(', ')
    throw new MillraceError('NOT_FOUND', `The pipeline reads nothing named ${name}.`, {
      remedy: `Name one of: ${names}.`,
    })
  }

  /** Virtual time goes on: timers of processing time fire when they are due, silent shards become idle. */
  async advance(duration: Duration): Promise<void> {
    const until = this.now + durationMs(duration, 'advance')
    for (;;) {
      const next = Math.max(this.now, this.#memory.nextDue())
      if (next > until) break
      this.#memory.advance(next - this.now)
      await this.#guarded(() => this.#memory.settle())
    }
    this.#memory.advance(until - this.now)
    await this.#run()
  }

  /** The end of a bounded run: event time is over, so that all windows fire. */
  async end(): Promise<void> {
    this.#memory.end()
    await this.#run()
  }

  /** Everything that was not committed is lost, and the pipeline begins again from its last commit. */
  async crash(): Promise<void> {
    this.#failure = undefined
    await this.#guarded(() => this.#memory.crash())
  }

  /** Splits a shard of a source, or of each. Its keys go on in two shards. */
  async split(source?: string): Promise<void> {
    for (const root of this.#rootsFor(source)) this.#memory.split(root)
    await this.#run()
  }

  /** Merges two neighbouring shards of a source, or of each, where there are two. */
  async merge(source?: string): Promise<void> {
    for (const root of this.#rootsFor(source)) this.#memory.merge(root)
    await this.#run()
  }

  #rootsFor(source: string | undefined): readonly NodeId[] {
    if (source !== undefined) return this.#rootsOf(source)
    return this.#plan.nodes.flatMap(({ kind }, id) => (kind === 'source' || kind === 'through' ? [id] : []))
  }

  /** Runs to the end with all that chance brings, and commits. */
  async #run(): Promise<void> {
    const { crash = 0, split = 0, merge = 0 } = this.#options.faults ?? {}
    const { random, store } = this.#memory
    let [crashes, commits] = [0, store.commits]
    await this.#guarded(async () => {
      for (let isBusy = true; isBusy; ) {
        if (store.commits > commits) [crashes, commits] = [0, store.commits]
        if (random.next() < 0.1) this.#memory.wantBarrier()
        if (random.next() < crash && crashes++ < chanceCrashesMax) await this.#memory.crash()
        if (random.next() < split) this.#splitOne()
        if (random.next() < merge) this.#memory.merge(random.pick(this.#rootsFor(undefined)))
        isBusy = await this.#memory.step()
      }
      await this.#memory.commitAll()
    })
  }

  #splitOne(): void {
    const root = this.#memory.random.pick(this.#rootsFor(undefined))
    if (this.#memory.log.open(root).length < chanceShardsMax) this.#memory.split(root)
  }

  async #guarded(run: () => Promise<void>): Promise<void> {
    if (this.#failure) throw this.#failure
    try {
      await run()
    } catch (error) {
      this.#failure = error instanceof StepError ? this.#stepFailed(error) : (error as MillraceError)
      throw this.#failure
    }
  }

  #stepFailed({ step, sequence, key, message, cause }: StepError): MillraceError {
    const node = this.#plan.nodes[step]
    const name = node && 'name' in node ? `${node.kind} ${node.name}` : `${node?.kind ?? 'keyBy'} (step ${step + 1})`
    const where = key === undefined ? '' : ` with the key ${JSON.stringify(key, plainText)}`
    return new MillraceError('PIPELINE_FAILED', `${name} failed on record ${sequence}${where}: ${message}`, {
      cause,
      remedy: 'Correct the step, or call crash() to begin again from the last commit.',
    })
  }

  /**
   * What a sink was given, in the order of commits: items of a table, `{ key, value, time? }` of a stream, lines of a file,
   * what others deliver. A pipeline with one sink needs no name.
   */
  results<Value = unknown>(sink?: string): Value[] {
    return this.#results.values(sink) as Value[]
  }

  /** What a sink's table holds: the last item that was put under each key. */
  items<Value = unknown>(table: string): Value[] {
    this.#schema(table)
    return this.#results.items(table) as Value[]
  }

  /** What a step has committed for a key: the cell without a name, unless one is named. */
  state<State = unknown>(step: string, key: unknown, cell?: string | number): State | undefined {
    return this.cells(step, key).find(({ name }) => name === cell)?.value as State | undefined
  }

  /** All cells that a step has committed for a key. Behind keyByPartition the key is that of the source, or its value. */
  cells(step: string, key: unknown): TestCell[] {
    return this.#lookup.cells(step, key)
  }

  /** How many values were late, by step. */
  get lateness(): Readonly<Record<string, number>> {
    return this.#counted('late')
  }

  /** What steps have counted under a name, such as `late` or `evicted`, by step. */
  counts(event: string): Readonly<Record<string, number>> {
    return this.#counted(event)
  }

  #counted(event: string): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    this.#plan.nodes.forEach((node, id) => {
      const by = this.#memory.store.counts.get(id)?.get(event)
      if (node.kind === 'keyed' && by !== undefined) counts[node.name] = by
    })
    return counts
  }

  /**
   * Compares what a sink was given with what a plain function makes of all that was pushed, in the order in which it was:
   * in any order unless `isOrdered`. Of a table it compares what the table holds. Throws AssertionError with the difference.
   */
  expectSameAs(
    reference: (pushed: readonly PushedInput[]) => Iterable<unknown>,
    options: { readonly sink?: string; readonly isOrdered?: boolean } = {},
  ): void {
    checkComparison(options)
    const { sink, isOrdered = false } = options
    const table = this.#results.tableOf(sink)
    const found = table === undefined ? this.#results.values(sink) : this.#results.items(table)
    const expected = [...reference(this.#pushed)]
    if (isOrdered) deepStrictEqual(found, expected)
    else deepStrictEqual(comparable(found), comparable(expected))
  }
}

/** A source's name: what `push` calls it. */

/** For messages: what JSON has no form for as text. */
const plainText = (_name: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)

/** Key and time of a line of a file, where the source names their columns. */
function columnsOf({ key, time }: FilesPlan, value: unknown): Pick<TestRecord, 'key' | 'time'> {
  const line = (value ?? {}) as Readonly<Record<string, unknown>>
  const at = time === undefined ? undefined : line[time]
  return {
    ...(key === undefined ? {} : { key: String(line[key]) }),
    ...(at === undefined ? {} : { time: typeof at === 'number' ? at : Date.parse(String(at)) }),
  }
}
