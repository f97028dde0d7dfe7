import type { MayGo, ReplicatedTables, SweptPiece } from '../tables/index.js'

/** Tombstones that one turn looks at, a second, where there are few: some milliseconds of work. */
const turnRowsMin = 2_000
/** Where there are many, a round over all of them has this many turns. */
const roundTurnsMax = 3_600
/** Between the beginnings of two rounds over a table: as soon as something that was seen is due, or for what came since. */
const roundMsMin = 10_000
const roundMsMax = 600_000

/** A table whose deletions are looked at. */
export interface SweptTable {
  readonly id: number
  readonly name: string
  /** Made once a turn, before the first piece. */
  readonly mayGo: () => Promise<MayGo>
  /** For how long a deletion is remembered; 0: for no longer. */
  readonly retentionMs: number
}

/** How far the looks at one table are. */
interface Round {
  /** When the newest round began, and whether it is still going on. */
  beganAt: number
  isOpen: boolean
  behind: Buffer | undefined
  left: number
  oldest: number | undefined
  /** What the round before has left, and when the oldest of them was written. */
  before: { readonly left: number; readonly oldest: number | undefined }
}

export interface TombstoneRoundsOptions {
  readonly sweep: ReplicatedTables['sweepTombstones']
  /** Milliseconds that never go back. */
  readonly monotonic: () => number
  /** Commit time, which tombstones have. */
  readonly now: () => number
  readonly isStopped: () => boolean
}

/**
 * Looks at all tombstones, round after round, in pieces: one turn takes a bounded number of them, of all tables in turn, and a
 * table of which none can be due is left alone. So what is remembered costs little however much it is.
 */
export class TombstoneRounds {
  readonly #options: TombstoneRoundsOptions
  /** By number of the table; who was looked at longest ago is first. */
  readonly #rounds = new Map<number, Round>()

  constructor(options: TombstoneRoundsOptions) {
    this.#options = options
  }

  /** How many there are, as of the last look. */
  get count(): number {
    let count = 0
    for (const { before, left, isOpen } of this.#rounds.values()) count += Math.max(before.left, isOpen ? left : 0)
    return count
  }

  async turn(tables: readonly SweptTable[]): Promise<void> {
    const { isStopped } = this.#options
    const known = new Map(tables.map((table) => [table.id, table]))
    for (const id of this.#rounds.keys()) if (!known.has(id)) this.#rounds.delete(id)
    for (const { id } of tables) if (!this.#rounds.has(id)) this.#rounds.set(id, newRound())
    const rules = new Map<number, MayGo>()
    let rows = Math.max(turnRowsMin, Math.ceil(this.count / roundTurnsMax))
    for (let isAny = true; isAny && rows > 0; ) {
      isAny = false
      for (const [id, round] of [...this.#rounds]) {
        const table = known.get(id) as SweptTable
        if (isStopped() || rows <= 0) return
        if (!this.#isDue(round, table)) continue
        isAny = true
        this.#rounds.delete(id)
        this.#rounds.set(id, round)
        const mayGo = rules.get(id) ?? (await table.mayGo())
        rules.set(id, mayGo)
        const piece = await this.#options.sweep(table, round.behind, mayGo)
        rows -= piece.gone + piece.left
        take(round, piece)
      }
    }
  }

  /** Opens the next round of a table when it is time for it. */
  #isDue(round: Round, { retentionMs }: SweptTable): boolean {
    if (round.isOpen) return true
    const { monotonic, now } = this.#options
    const since = monotonic() - round.beganAt
    if (since < roundMsMin) return false
    const { oldest } = round.before
    if (since < Math.min(roundMsMax, retentionMs) && (oldest === undefined || now() < oldest + retentionMs))
      return false
    Object.assign(round, { beganAt: monotonic(), isOpen: true, behind: undefined, left: 0, oldest: undefined })
    return true
  }
}

const newRound = (): Round => ({
  beganAt: Number.NEGATIVE_INFINITY,
  isOpen: false,
  behind: undefined,
  left: 0,
  oldest: undefined,
  before: { left: 0, oldest: undefined },
})

function take(round: Round, { left, oldest, next }: SweptPiece): void {
  round.left += left
  round.oldest = oldest === undefined ? round.oldest : Math.min(oldest, round.oldest ?? oldest)
  round.behind = next
  if (next) return
  round.isOpen = false
  round.before = { left: round.left, oldest: round.oldest }
}
