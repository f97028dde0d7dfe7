/** A task as others of its pipeline see it that are ahead of it. */
export interface AlignedTask {
  readonly options: { readonly label: string }
  /** Whether it has records to read from far before a sequence number, and can. */
  isBehind(sequence: number): boolean
}

/**
 * Holds the sources of a pipeline in one thread together: who is far ahead waits until those that have something to read have come
 * after it. The last one of them waits for nobody, so that somebody always reads.
 */
export class Alignment {
  readonly #tasks: () => Iterable<AlignedTask>
  #waiting: { readonly task: AlignedTask; readonly sequence: number; readonly resolve: () => void }[] = []

  constructor(tasks: () => Iterable<AlignedTask>) {
    this.#tasks = tasks
  }

  /** Resolves when no other one is far behind a sequence number any more; undefined where none is. */
  align(task: AlignedTask, sequence: number): Promise<void> | undefined {
    if (!this.#hasBehind(task, sequence)) return undefined
    return new Promise((resolve) => this.#waiting.push({ task, sequence, resolve }))
  }

  /** Some task has come further, or can read no more for now. */
  moved(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const each of waiting) {
      if (this.#hasBehind(each.task, each.sequence)) this.#waiting.push(each)
      else each.resolve()
    }
  }

  #hasBehind(task: AlignedTask, sequence: number): boolean {
    const { label } = task.options
    for (const other of this.#tasks())
      if (other !== task && other.options.label === label && other.isBehind(sequence)) return true
    return false
  }
}
