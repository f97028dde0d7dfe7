import type { Poison, StageId } from '../operators/task/index.js'
import type { MillraceError } from '../runtime/index.js'
import type { Place } from '../workers/index.js'

/** What a run says about its end. */
export interface Accusation {
  readonly error: MillraceError
  readonly stack: string | undefined
  readonly place: Place
  readonly stage: StageId | undefined
}

interface Suspect {
  readonly poison: Omit<Poison, 'attempts'>
  attempts: number
}

/**
 * The records under which runs of a pipeline ended. One that ended `attemptsMax` of them is parked by the next run without being
 * tried again. Memory names only who asked for the last of it, so there a record is believed when it is named twice in a row.
 */
export class Suspects {
  readonly #attemptsMax: number
  readonly #suspects = new Map<string, Suspect>()
  #last: string | undefined
  /** The highest sequence number of a suspect: until the positions have passed it, a run is careful. */
  until = -1

  constructor(attemptsMax: number) {
    this.#attemptsMax = attemptsMax
  }

  /** False when no record is known, or none is believed to be to blame. */
  accuse({ error, stack, place, stage }: Accusation): boolean {
    const { node, sequence, parkAt } = place
    if (node === undefined || sequence === undefined || stage === undefined) return false
    const isTooLarge = error.code === 'EFFECT_TOO_LARGE'
    const at = isTooLarge ? undefined : parkAt ? parkAt.place : node
    const name = `${stage} ${at ?? 'entry'} ${sequence}`
    const isBelieved = !isOfMemory(error) || this.#last === name
    this.#last = name
    const known = this.#suspects.get(name)
    const reason = parkAt?.error ?? { code: error.code, message: error.message, stack }
    const suspect: Suspect = {
      poison: { stage, place: at, sequence, error: reason },
      attempts: parkAt || isTooLarge ? this.#attemptsMax : (known?.attempts ?? 0) + 1,
    }
    this.#suspects.set(name, suspect)
    this.until = Math.max(this.until, sequence)
    return isBelieved
  }

  /** What is to be parked without being tried. */
  poison(): readonly Poison[] {
    return [...this.#suspects.values()]
      .filter(({ attempts }) => attempts >= this.#attemptsMax)
      .map(({ poison, attempts }) => ({ ...poison, attempts }))
  }

  clear(): void {
    this.#suspects.clear()
    this.#last = undefined
    this.until = -1
  }
}

const isOfMemory = ({ cause }: MillraceError): boolean =>
  (cause as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
