/** How many findings of each sort are described; all are counted. */
const describedMax = 10

export type FindingKind = 'lost' | 'duplicated' | 'wrong'

/**
 * What the check found. Lost: an expected change that GetRecords does not show. Duplicated: one write with two records, a
 * line or a result twice. Wrong: a row, a line or an image chain that differs.
 */
export class Findings {
  readonly #counts = { lost: 0, duplicated: 0, wrong: 0 }
  readonly #descriptions: string[] = []

  add(kind: FindingKind, description: string): void {
    this.#counts[kind]++
    if (this.#counts[kind] <= describedMax) this.#descriptions.push(`${kind}: ${description}`)
  }

  get counts(): Readonly<Record<FindingKind, number>> {
    return this.#counts
  }

  /** The first of each sort, in words. */
  get descriptions(): readonly string[] {
    return this.#descriptions
  }
}
