import { EventEmitter } from 'node:events'
import type { ConnectionOptions } from '@platformatic/kafka'
import { afterEach, expect, test, vi } from 'vitest'
import { Connections } from '../../src/kafka/platformatic-connections.js'
import { systemClock } from '../../src/runtime/index.js'
import { silent } from './memory.js'

type Answer = (error: Error | null, answer?: unknown) => void

/** The connections of the library, without a network: how long their sessions live, one after the other, is the test's. */
const made: FakeConnection[] = []
const lives: number[] = []
class FakeConnection extends EventEmitter {
  readonly #options: ConnectionOptions
  /** Of requests without an answer. */
  readonly waiting: Answer[] = []
  isClosed = false

  constructor(_clientId: string, options: ConnectionOptions) {
    super()
    this.#options = options
    made.push(this)
  }

  async connect(): Promise<void> {
    const answer = { authBytes: Buffer.alloc(0), sessionLifetimeMs: BigInt(lives.shift() ?? 0) }
    const api = { async: async () => answer }
    const given = [undefined, this, api, undefined, undefined, undefined]
    const authenticate = this.#options.sasl?.authenticate as unknown as (...given: unknown[]) => void
    await new Promise<void>((resolve, reject) =>
      authenticate(...given, (error: Error | null) => (error ? reject(error) : resolve())),
    )
  }

  send(...given: unknown[]): void {
    this.waiting.push(given.at(-1) as Answer)
  }

  close(): void {
    this.isClosed = true
    this.emit('close')
  }
}
vi.mock('@platformatic/kafka', () => ({ Connection: FakeConnection }))

const broker = { host: '127.0.0.1', port: 1 }
const sasl = {
  mechanism: 'plain' as const,
  authenticate: async (exchange: (message: Buffer) => Promise<Buffer>) => {
    await exchange(Buffer.alloc(0))
  },
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

let connections: Connections
function open(...sessions: readonly number[]): void {
  lives.push(...sessions)
  connections = new Connections({
    brokers: ['127.0.0.1:1'],
    clientId: 'test',
    logger: silent,
    security: { tls: undefined, sasl },
  })
}
afterEach(() => {
  connections.discard()
  made.length = 0
  lives.length = 0
})

/** A session of one millisecond has ended. */
async function oneOver(): Promise<void> {
  for (const from = systemClock.monotonic(); systemClock.monotonic() < from + 1; ) await turn()
}

/** Asks something, as the library does. */
const ask = (connection: Awaited<ReturnType<Connections['to']>>) =>
  new Promise((resolve, reject) =>
    connection.send(0, 0, undefined as never, undefined as never, false, false, (error, answer) =>
      error ? reject(error) : resolve(answer),
    ),
  )

test('a session that ends loses no request: the old connection goes when what was asked there is answered', async () => {
  open(1, 3_600_000)
  const asked = ask(await connections.to(broker))
  await oneOver()
  const [first, second] = await Promise.all([connections.to(broker), connections.to(broker)])
  expect(first).toBe(second)
  expect(made).toHaveLength(2)
  await turn()
  expect(made.map(({ isClosed }) => isClosed)).toEqual([false, false])
  made[0]?.waiting.shift()?.(null, 'answer')
  expect(await asked).toBe('answer')
  await turn()
  expect(made.map(({ isClosed }) => isClosed)).toEqual([true, false])
  expect(await connections.to(broker)).toBe(first)
})

test('who was handed the old connection just before may still ask there', async () => {
  open(1, 3_600_000)
  const old = await connections.to(broker)
  await oneOver()
  const other = connections.to(broker)
  const asked = ask(old)
  await other
  await turn()
  expect(made[0]?.isClosed).toBe(false)
  made[0]?.waiting.shift()?.(null, 'answer')
  await asked
  await turn()
  expect(made[0]?.isClosed).toBe(true)
})

test('several who come at once share the first connection, and one that is discarded is closed whatever is on its way', async () => {
  open(3_600_000)
  const [first, second] = await Promise.all([connections.to(broker), connections.to(broker)])
  expect(first).toBe(second)
  expect(made).toHaveLength(1)
  ask(first).catch(() => {})
  connections.discard()
  expect(made[0]?.isClosed).toBe(true)
})
