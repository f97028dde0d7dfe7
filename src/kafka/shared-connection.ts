import type { Connection } from '@platformatic/kafka'

/**
 * A connection that several use, each for a request as soon as it was handed over. Its requests are counted, so that it can be given up
 * without one of them being lost.
 */
export class SharedConnection {
  readonly connection: Connection
  /** Monotonic milliseconds; after that the broker would close it for its credentials. */
  readonly until: number
  #requests = 0
  #close: (() => void) | undefined

  constructor(connection: Connection, until: number) {
    this.connection = connection
    this.until = until
    const send: Connection['send'] = connection.send.bind(connection)
    connection.send = (key, version, create, parse, hasRequestTags, hasAnswerTags, callback) => {
      this.#requests++
      send<Parameters<typeof callback>[1]>(
        key,
        version,
        create,
        parse,
        hasRequestTags,
        hasAnswerTags,
        (error, answer) => {
          this.#requests--
          this.#look()
          callback(error, answer)
        },
      )
    }
  }

  /** Nobody is handed it any more: it is closed when what was asked over it is answered. */
  retire(close: () => void): void {
    this.#close = close
    this.#look()
  }

  #look(): void {
    // Who has been handed it in this turn asks in this turn.
    if (this.#close)
      setImmediate(() => {
        if (this.#requests === 0) this.#close?.()
      })
  }
}
