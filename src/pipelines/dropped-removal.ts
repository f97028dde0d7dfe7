import { Family } from '../commit/index.js'
import { asMillraceError } from '../runtime/index.js'
import type { PipelineParts, PipelineSurroundings } from './pipeline-parts.js'
import { removeRows } from './removal.js'
import { type Dropped, type PipelineRow, rowsOfState } from './rows.js'

interface Owner {
  readonly row: PipelineRow
  store(change: Partial<PipelineRow>): Promise<void>
}

/** Removes what a redeploy left behind, in small commits beside the running pipeline. */
export class DroppedRemoval {
  readonly #owner: Owner
  readonly #parts: Pick<PipelineParts, 'dropGroup' | 'dropOutbox'>
  readonly #around: Pick<PipelineSurroundings, 'storage' | 'commit' | 'logger'>
  #work: { isHalted: boolean; done: Promise<void> } | undefined

  constructor(
    owner: Owner,
    parts: Pick<PipelineParts, 'dropGroup' | 'dropOutbox'>,
    around: Pick<PipelineSurroundings, 'storage' | 'commit' | 'logger'>,
  ) {
    this.#owner = owner
    this.#parts = parts
    this.#around = around
  }

  begin(): void {
    const { dropped, plan } = this.#owner.row
    if (!dropped || this.#work) return
    const work = { isHalted: false, done: Promise.resolve() }
    this.#work = work
    work.done = this.#remove(dropped, () => !work.isHalted).catch((error: unknown) =>
      this.#around.logger.warn({ pipeline: plan.name }, asMillraceError(error).message),
    )
  }

  async #remove({ states, groups, outboxes = [] }: Dropped, isWanted: () => boolean): Promise<void> {
    const { id } = this.#owner.row
    for (const state of states)
      for (const family of [Family.state, Family.timer])
        await removeRows(rowsOfState(family, id, state), this.#around, isWanted)
    for (const group of groups) if (isWanted()) await this.#parts.dropGroup(group)
    for (const outbox of outboxes) if (isWanted()) await this.#parts.dropOutbox(outbox)
    if (isWanted()) await this.#owner.store({ dropped: undefined })
  }

  /** Until it begins again. Rejects never. */
  async halt(): Promise<void> {
    if (!this.#work) return
    this.#work.isHalted = true
    await this.#work.done
    this.#work = undefined
  }
}
