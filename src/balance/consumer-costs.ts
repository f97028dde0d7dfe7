interface Cost {
  milliseconds: number
  records: number
}

const fade = 0.9

/**
 * What a record of one shard costs each of its consumers. The cost of a record, not the time that a consumer is busy: one
 * that reads up a backlog is busy without the shard being too large.
 */
export class ConsumerCosts {
  readonly #costs = new Map<string, Cost>()

  /** @param parents whose costs hold until there are own ones */
  constructor(parents: readonly ConsumerCosts[] = []) {
    for (const parent of parents)
      for (const [consumer, { milliseconds, records }] of parent.#costs) this.add(consumer, records, milliseconds)
  }

  add(consumer: string, records: number, milliseconds: number): void {
    const cost = this.#costs.get(consumer)
    if (!cost) this.#costs.set(consumer, { records, milliseconds })
    else {
      cost.records += records
      cost.milliseconds += milliseconds
    }
  }

  /** Once a second. Returns the threads that the most expensive consumer needs for so many records a second. */
  tick(recordsPerSecond: number): number {
    let most = 0
    for (const [consumer, cost] of this.#costs) {
      if (cost.records > 0) most = Math.max(most, cost.milliseconds / cost.records)
      cost.records *= fade
      cost.milliseconds *= fade
      if (cost.records < 1) this.#costs.delete(consumer)
    }
    return (most * recordsPerSecond) / 1000
  }
}
