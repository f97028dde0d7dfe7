import { MillraceError } from '../runtime/index.js'
import { ParkedIndex } from './parked-index.js'
import { type ParkedFilter, type ParkedList, ParkedRows } from './parked-list.js'
import type { Pipeline } from './pipeline.js'
import type { PipelineSurroundings } from './pipeline-parts.js'
import type { Retries } from './retries.js'

/** Rows that are given up in one commit. */
const dropRowsMax = 1000

/** The pipeline that rows wait in. */
export interface ParkingPipeline {
  readonly pipeline: Pick<Pipeline, 'row' | 'state' | 'sources'>
  readonly retries: Retries
  /** Whether a run keeps the index. */
  readonly hasRun: () => boolean
  /** Runs something when no beginning, failure or end is under way, and lets none begin meanwhile. */
  readonly alone: <Result>(run: () => Promise<Result>) => Promise<Result>
  /** Does something while no run writes; then the next run begins. */
  readonly restart: (change: () => Promise<void>) => Promise<void>
}

/** What waits in a pipeline, and what a person does with it: look, try again, give up. */
export class ParkedControl {
  /** As the last commit left it. */
  index: ParkedIndex
  readonly #of: ParkingPipeline
  readonly #around: PipelineSurroundings

  constructor(of: ParkingPipeline, around: PipelineSurroundings) {
    this.#of = of
    this.#around = around
    this.index = new ParkedIndex(around.limits)
  }

  /** Takes the index from the store, before a run begins. */
  async load(): Promise<void> {
    const { storage, limits } = this.#around
    this.index = await ParkedIndex.load(storage, this.#of.pipeline.row.id, limits)
  }

  /** A pipeline that does not run knows what waits from the store alone. */
  async look(): Promise<void> {
    if (this.#of.hasRun()) return
    const { storage, limits } = this.#around
    const index = await ParkedIndex.load(storage, this.#of.pipeline.row.id, limits)
    if (!this.#of.hasRun()) this.index = index
  }

  rows(): ParkedRows {
    const { row, sources } = this.#of.pipeline
    return new ParkedRows(this.#around.storage, row, sources, this.index)
  }

  /** What is parked. Throws BAD_REQUEST for a place that the pipeline does not have. */
  async list(filter: ParkedFilter): Promise<ParkedList> {
    await this.look()
    return this.rows().list(filter)
  }

  /** Tries again what is parked, each key's rows in their order. Gives how many there are. Throws CONFLICT, NOT_FOUND. */
  retry(filter: ParkedFilter): Promise<number> {
    const { alone, restart, retries } = this.#of
    return alone(async () => {
      this.#mustRun()
      await this.look()
      const { names, records } = this.rows().choose(filter)
      if (names.size === 0) return 0
      // A commit that is under way may have the end of an attempt from before: that is not this one.
      await restart(async () => retries.add(names))
      return records
    })
  }

  /**
   * Gives up the first row of each queue, or all of them, and tries those that waited behind it. Gives how many were given up.
   */
  drop(filter: ParkedFilter, isAll: boolean): Promise<number> {
    const { alone, restart, retries } = this.#of
    return alone(async () => {
      let dropped = 0
      await restart(async () => {
        await this.look()
        const parked = this.rows()
        const { names } = parked.choose(filter)
        const keys = parked.rowsToDrop(names, isAll)
        dropped = keys.length
        for (let at = 0; at < keys.length; at += dropRowsMax)
          await this.#around.commit.submit({
            rows: keys.slice(at, at + dropRowsMax).map((key) => ({ key, value: undefined })),
            essential: true,
          })
        for (const key of keys) this.index.take(key, undefined)
        retries.add(names)
      })
      return dropped
    })
  }

  #mustRun(): void {
    const { row, state } = this.#of.pipeline
    if (state === 'running' || state === 'retrying' || state === 'starting') return
    throw new MillraceError('CONFLICT', `The pipeline ${row.plan.name} does not run: it is ${state}.`, {
      remedy:
        'What is parked can be listed and dropped; resume the pipeline, or deploy a corrected module, to try it again.',
    })
  }
}
