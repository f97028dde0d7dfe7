import { BodyReader } from '../log/bodies.js'
import type { NewRecord } from '../log/types.js'
import type { NodeId, PipelinePlan } from '../operators/plan/index.js'
import { type StageTaskOptions, stagesOf, type TaskBounds } from '../operators/task/index.js'
import { recordsOf } from './entries.js'
import { MemoryLog } from './memory-log.js'
import { MemoryRun } from './memory-run.js'
import { MemoryStore } from './memory-store.js'
import type { MemoryParking, MemorySettings } from './memory-tasks.js'
import { Random } from './random.js'
import { VirtualTime } from './virtual-time.js'

export interface MemoryPipelineOptions {
  readonly plan: PipelinePlan
  readonly seed: number
  /** Shards of each source at the beginning. */
  readonly shards: number
  /** Tasks of each keyed stage. */
  readonly tasks: number
  /** Virtual time at the beginning, milliseconds since 1970. */
  readonly now: number
  readonly bounds: TaskBounds
  readonly sinkKeys: StageTaskOptions['sinkKeys']
  readonly hashKeyNames: ReadonlyMap<NodeId, string>
  /** How the first run takes what fails; without it an error ends it. */
  readonly parking?: MemoryParking | undefined
}

/** A pipeline in memory: its sources, what it has committed, and the run that is under way. */
export class MemoryPipeline {
  readonly log = new MemoryLog()
  readonly store = new MemoryStore()
  readonly time: VirtualTime
  readonly random: Random
  #settings: MemorySettings
  #run: MemoryRun
  #isEnded = false

  constructor(options: MemoryPipelineOptions) {
    const { plan, seed, shards, tasks, now, bounds, sinkKeys, hashKeyNames, parking } = options
    this.time = new VirtualTime(now)
    this.random = new Random(seed)
    const stages = stagesOf(plan.nodes)
    for (const stage of stages.stages) if (stage.kind === 'source') this.log.create(stage.root, shards)
    this.#settings = {
      plan,
      stages,
      store: this.store,
      tasks,
      bounds,
      sinkKeys,
      hashKeyNames,
      bodies: new BodyReader(),
      parking,
      now: () => this.time.now,
      setTimeout: (run, ms) => this.time.setTimeout(run, ms),
    }
    this.store.onOutput = (node, batch) => {
      if (plan.nodes[node]?.kind !== 'through') return
      this.#settings.bodies.add(batch.shapes)
      for (const record of recordsOf(batch, this.time.now)) this.append(node, record)
    }
    this.#run = this.#newRun()
  }

  #newRun(): MemoryRun {
    return new MemoryRun(this.#settings, this.log, this.random)
  }

  get stages(): MemorySettings['stages'] {
    return this.#settings.stages
  }

  async open(): Promise<void> {
    await this.#run.open()
    if (this.#isEnded) this.#run.end()
  }

  append(root: NodeId, record: NewRecord): number {
    return this.log.append(root, record)
  }

  /** Does one thing of those that can be done; false when nothing is left. */
  async step(): Promise<boolean> {
    return await this.#run.step()
  }

  /** Does up to so many things of those that can be done; fewer when nothing is left. */
  async steps(most: number): Promise<void> {
    for (let i = 0; i < most && (await this.#run.step()); i++);
  }

  wantBarrier(): void {
    this.#run.wantBarrier()
  }

  async settle(): Promise<void> {
    await this.#run.settle()
  }

  async commitAll(): Promise<void> {
    await this.#run.commitAll()
  }

  /** Everything since the last commit is lost, and all tasks begin again from it. */
  async crash(parking = this.#settings.parking): Promise<void> {
    this.#settings = { ...this.#settings, parking }
    this.#run = this.#newRun()
    await this.open()
  }

  /** Splits an open shard of a source, the first one of them unless chance says another. */
  split(root: NodeId): void {
    this.log.split(this.random.pick(this.log.open(root)))
  }

  /** Merges two neighbours; does nothing where there is one shard alone. */
  merge(root: NodeId): void {
    this.log.merge(this.random.pick(this.log.open(root)))
  }

  /** Virtual time goes on: timers of processing time become due, silent shards idle. */
  advance(ms: number): void {
    this.time.advance(ms)
    this.#run.idle()
  }

  end(): void {
    this.#isEnded = true
    this.#run.end()
  }

  /** When virtual time has something to do. */
  nextDue(): number {
    return this.#run.nextDue()
  }
}
