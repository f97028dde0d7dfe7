import type { Poison, StageId } from '../operators/task/index.js'
import type { MillraceError } from '../runtime/index.js'
import type { Place } from '../workers/index.js'

/** What a run says about its end. */
export interface Accusation {
  readonly error: MillraceError
  readonly stack: string | undefined
  readonly place: Place
  readonly stage: StageId | undefined
  /** Whether the record that is named is the cause in any case. */
  readonly isCertain?: boolean
}

/** Records between two commits of a quarantine, narrower after each end for memory. */
const quarantineRecords = [256, 1] as const

interface Suspect {
  readonly poison: Omit<Poison, 'attempts'>
  readonly attempts: number
  /** Whether nothing else can have been the cause. */
  readonly isCertain: boolean
}

/**
 * The records under which runs of a pipeline ended. One that ended `attemptsMax` of them is parked by the next run without being
 * tried again. Memory names only who asked for the last of it: there the record is searched for in quarantine, where fewer and
 * fewer are read between two commits, and believed when it is the only one and named again.
 */
export class Suspects {
  readonly #attemptsMax: number
  readonly #suspects = new Map<string, Suspect>()
  /** Index into `quarantineRecords`; undefined: no quarantine. */
  #narrowness: number | undefined
  /** The highest sequence number of a suspect: until the positions have passed it, a run is careful. */
  until = -1

  constructor(attemptsMax: number) {
    this.#attemptsMax = attemptsMax
  }

  /** In quarantine: how many records may be read between two commits. */
  get recordsMax(): number | undefined {
    return this.#narrowness === undefined ? undefined : quarantineRecords[this.#narrowness]
  }

  /** The run took too much memory: the next one reads less at a time. False when less is not possible. */
  narrow(): boolean {
    if (this.recordsMax === 1) return false
    this.#narrowness = this.#narrowness === undefined ? 0 : this.#narrowness + 1
    return true
  }

  /** False when no record is known to be to blame. */
  accuse({ error, stack, place, stage, isCertain = true }: Accusation): boolean {
    const { node, sequence, parkAt } = place
    if (node === undefined || sequence === undefined || stage === undefined) return false
    const at = parkAt ? parkAt.place : node
    const name = `${stage} ${at ?? 'entry'} ${sequence}`
    const known = this.#suspects.get(name)
    const reason = parkAt?.error ?? { code: error.code, message: error.message, stack }
    const suspect: Suspect = {
      poison: { stage, place: at, sequence, error: reason },
      attempts: parkAt ? this.#attemptsMax : Math.min(this.#attemptsMax, (known?.attempts ?? 0) + 1),
      isCertain: isCertain || (known?.isCertain ?? false),
    }
    this.#suspects.set(name, suspect)
    this.until = Math.max(this.until, sequence)
    return true
  }

  /** What is to be parked without being tried. */
  poison(): readonly Poison[] {
    return [...this.#suspects.values()]
      .filter(({ attempts, isCertain }) => isCertain && attempts >= this.#attemptsMax)
      .map(({ poison, attempts }) => ({ ...poison, attempts }))
  }

  clear(): void {
    this.#suspects.clear()
    this.#narrowness = undefined
    this.until = -1
  }
}
