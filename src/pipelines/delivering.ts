import type { NodeId, PlanDescription } from '../operators/index.js'
import type { Outbox } from '../sinks/index.js'

/** The outboxes of a pipeline: what lies in them is delivered also while the pipeline itself has failed. */
export class Delivering {
  readonly #open: () => Promise<ReadonlyMap<NodeId, Outbox>>
  #opening: Promise<ReadonlyMap<NodeId, Outbox>> | undefined
  /** Empty until they are open. */
  #opened: ReadonlyMap<NodeId, Outbox> = new Map()

  constructor(open: () => Promise<ReadonlyMap<NodeId, Outbox>>) {
    this.#open = open
  }

  /** Opens them, and has them deliver while that `isWanted`. */
  async begin(isWanted: () => boolean): Promise<ReadonlyMap<NodeId, Outbox>> {
    this.#opening ??= this.#open()
    try {
      this.#opened = await this.#opening
    } catch (error) {
      this.#opening = undefined
      throw error
    }
    if (isWanted()) for (const outbox of this.#opened.values()) outbox.start()
    return this.#opened
  }

  /** The names of the sinks that go outside, with their outboxes. */
  named({ nodes }: PlanDescription): readonly { readonly sink: string; readonly outbox: Outbox }[] {
    return [...this.#opened].map(([id, outbox]) => {
      const node = nodes[id]
      return { sink: node?.kind === 'sink' ? node.name : '', outbox }
    })
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#opened.values()].map((outbox) => outbox.stop()))
  }
}
