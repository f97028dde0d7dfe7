import {
  isEntryPlace,
  type NodeId,
  nodeOfPlace,
  type ParkedQueue,
  type ParkPlace,
  type Poison,
  type StageId,
  type Stages,
} from '../operators/task/index.js'
import { decodeParkedKey, type ParkedRowKey, rowsIn, type TaskParking } from '../workers/index.js'
import type { BarrierPart } from './barrier-commit.js'
import { placesOf } from './park-places.js'
import { isFailed, isWithin, type ParkedIndex } from './parked-index.js'
import { nameOf } from './parked-list.js'
import type { Retries } from './retries.js'
import type { PipelineRow } from './rows.js'
import type { HashRange } from './timer-pages.js'

/** A queue that is to be tried again, by the number of its place. */
export interface RetriedQueue extends Omit<ParkedRowKey, 'number'> {
  readonly name: string
  readonly next: number
  readonly rows: ParkedQueue['rows']
  /** More of it waits behind these rows. */
  readonly hasMore: boolean
}

/** A parked row that is tried again alone. */
export interface RetriedRow {
  readonly stage: StageId
  readonly node: NodeId
  /** undefined: where rows come into the stage. */
  readonly place: ParkPlace | undefined
  readonly sequence: number
}

export interface RunParkingOptions {
  readonly row: PipelineRow
  readonly stages: Stages
  readonly index: ParkedIndex
  /** undefined: only what waits is led aside. */
  readonly careful: CarefulRun | undefined
  readonly attemptsMax: number
  readonly awaitMsMax: number
  /** The queues that are to be tried again as soon as a task has their keys. */
  readonly later: Pick<Retries, 'unreached' | 'reached'>
  /** There is one. */
  readonly onReached: () => void
}

/** A run under whose guard user code fails. It is over with a commit in which nothing failed. */
export interface CarefulRun {
  /** Every source has to be past this sequence number before. */
  readonly until: number
  readonly poison: readonly Poison[]
  readonly retries: readonly RetriedQueue[]
  /**
   * In quarantine: its tasks are alone in a thread, and so many records of each shard are read between two commits.
   * undefined: it runs beside others.
   */
  readonly recordsMax: number | undefined
}

/** What waits in a pipeline, as one run takes it. */
export class RunParking {
  readonly #options: RunParkingOptions
  /** The places of each stage, by the numbers that the store knows them by. */
  readonly #places = new Map<StageId, Map<number, ParkPlace>>()
  #retries: readonly RetriedQueue[]
  /** Those that tasks have been given since the last commit: the next one has what became of them. */
  #given: RetriedQueue[] = []
  /** The names of the queues in which something failed since. */
  readonly #failed = new Set<string>()
  /** The last row of those that were given. */
  #retried: RetriedRow | undefined

  constructor(options: RunParkingOptions) {
    this.#options = options
    this.#retries = options.careful?.retries ?? []
    const { row, stages } = options
    for (const { label, stage, place } of placesOf(row.plan, stages)) {
      const places = this.#places.get(stage) ?? new Map<number, ParkPlace>()
      this.#places.set(stage, places.set(row.steps?.[label] as number, place))
    }
  }

  get careful(): CarefulRun | undefined {
    return this.#options.careful
  }

  /** What is tried again and not committed yet; where one record is read between two commits, it is one row. */
  get retried(): RetriedRow | undefined {
    return this.#retried
  }

  get isFull(): boolean {
    return this.#options.index.isFull
  }

  /** How a task of a stage begins. What is tried again is given out once. */
  ofTask(stage: StageId, range: HashRange): TaskParking | undefined {
    const { index, careful, attemptsMax, awaitMsMax } = this.#options
    if (!careful && index.count === 0) return undefined
    const places = this.#places.get(stage) ?? new Map<number, ParkPlace>()
    this.#lookForUnreached(places, range)
    return {
      isCareful: careful !== undefined,
      attemptsMax,
      awaitMsMax,
      keys: index.keysOf(places, range),
      poison: (careful?.poison ?? []).filter((poison) => poison.stage === stage),
      places: Object.fromEntries([...places].map(([number, place]) => [place, number])),
      retries: this.#takeRetries(stage, places, range),
    }
  }

  #lookForUnreached(places: ReadonlyMap<number, ParkPlace>, range: HashRange): void {
    const { index, later, onReached } = this.#options
    const { unreached } = later
    if (unreached.size === 0) return
    const isHere = index
      .queues()
      .some(
        (queue) =>
          places.has(queue.step) && isWithin(range, queue.hashHi, queue.hashLo) && unreached.has(nameOf(queue)),
      )
    if (!isHere) return
    later.reached()
    onReached()
  }

  /** Deeper steps first: what waits there came before what waits at an earlier step. */
  #takeRetries(stage: StageId, places: ReadonlyMap<number, ParkPlace>, range: HashRange): ParkedQueue[] {
    const { length } = this.#options.stages.nodes
    const taken: ParkedQueue[] = []
    this.#retries = this.#retries.filter((queue) => {
      const { step, name, ...rest } = queue
      const place = places.get(step)
      if (place === undefined || !isWithin(range, queue.hashHi, queue.hashLo)) return true
      taken.push({ ...rest, place })
      this.#given.push(queue)
      const last = rest.rows.at(-1)
      if (last)
        this.#retried = {
          stage,
          node: nodeOfPlace(length, place),
          place: isEntryPlace(length, place) ? undefined : place,
          sequence: last.row.sequence,
        }
      return false
    })
    const depth = (place: ParkPlace): number => (place >= length ? -1 : place)
    return taken.sort((a, b) => depth(b.place) - depth(a.place))
  }

  /** A barrier has committed. True when nothing failed in it. */
  committed(parts: readonly BarrierPart[]): boolean {
    let isClean = true
    this.#retried = undefined
    for (const { result } of parts) {
      if (!result.parked) continue
      for (const { key, value } of rowsIn(result.parked)) {
        this.#options.index.take(key, value)
        if (!isFailed(value)) continue
        isClean = false
        const queue = decodeParkedKey(key)
        this.#failed.add(nameOf({ ...queue, key: Buffer.from(queue.key) }))
      }
    }
    return isClean
  }

  /**
   * The names of the queues that the last commit has the end of: all of their rows are through, or one has failed again. What a
   * timer added behind them when the run began is tried by the next one.
   */
  takeTried(): readonly string[] {
    if (this.#given.length === 0) return []
    const left = new Map(this.#options.index.queues().map((queue) => [nameOf(queue), queue.rows]))
    const tried = this.#given.filter(({ name, rows }) => {
      const rest = left.get(name)
      const last = rows.at(-1)?.number ?? Number.POSITIVE_INFINITY
      return rest === undefined || this.#failed.has(name) || [...rest.keys()].some((number) => number <= last)
    })
    this.#given = []
    this.#failed.clear()
    return tried.map(({ name }) => name)
  }

  /** The names of those that no task has been there for. */
  get untried(): readonly string[] {
    return this.#retries.map(({ name }) => name)
  }
}
