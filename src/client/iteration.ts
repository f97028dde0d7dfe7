import { notHandled } from './shard-reader.js'
import type { Subscription } from './subscription.js'
import type { Iterated } from './types.js'

interface Offered<Value> {
  readonly record: Value
  readonly done: (outcome?: typeof notHandled) => void
}

/**
 * Records one by one, for `for await`. A record counts as handled when the next one is asked for, so a loop that ends
 * early reads its last record again next time.
 */
export class Iteration<Value> implements Iterated<Value> {
  #subscription: Subscription | undefined
  readonly #offered: Offered<Value>[] = []
  #current: Offered<Value> | undefined
  #wake: () => void = () => {}
  #isOver = false
  #error: unknown

  /** The handler that the subscription is made with: it waits until the loop is done with the record. */
  readonly handle = (record: Value): Promise<typeof notHandled | undefined> =>
    new Promise((resolve) => {
      if (this.#isOver) return resolve(notHandled)
      this.#offered.push({ record, done: resolve })
      this.#wake()
    })

  begin(subscription: Subscription): void {
    this.#subscription = subscription
    subscription.closed.then(
      () => this.#end(undefined),
      (error: unknown) => this.#end(error),
    )
  }

  /** Resolves when it is over; rejects with what ended it. */
  get closed(): Promise<void> {
    return this.#subscription?.closed ?? Promise.resolve()
  }

  #end(error: unknown): void {
    this.#isOver = true
    this.#error ??= error
    this.#giveUp()
    this.#wake()
  }

  async next(): Promise<IteratorResult<Value, undefined>> {
    this.#current?.done()
    this.#current = undefined
    while (this.#offered.length === 0 && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    const next = this.#offered.shift()
    if (next) {
      this.#current = next
      return { done: false, value: next.record }
    }
    if (this.#error !== undefined) throw this.#error
    return { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<Value, undefined>> {
    await this.close()
    return { done: true, value: undefined }
  }

  /** Commits what counts as handled and leaves the group. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#giveUp()
    await this.#subscription?.close()
  }

  /** What is in hand and what is offered is not handled: the readers of the shards stop before it. */
  #giveUp(): void {
    for (const offered of [this.#current, ...this.#offered.splice(0)]) offered?.done(notHandled)
    this.#current = undefined
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
