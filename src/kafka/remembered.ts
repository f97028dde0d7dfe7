/**
 * What is durably remembered of a bridge. Changes come one after the other, each on top of the one before: what is learned of a topic and a
 * pause may come at once, and neither may undo the other.
 */
export class Remembered<Entry extends object> {
  #record: Entry
  #saving: Promise<void> = Promise.resolve()

  constructor(record: Entry) {
    this.#record = record
  }

  /** As it was last made durable. */
  get record(): Entry {
    return this.#record
  }

  /** @param save makes the whole durable; what it throws leaves it as it was */
  change(change: Partial<Entry>, save: (record: Entry) => Promise<void>): Promise<void> {
    const saving = this.#saving.then(async () => {
      const record = { ...this.#record, ...change }
      await save(record)
      this.#record = record
    })
    this.#saving = saving.catch(() => {})
    return saving
  }
}
