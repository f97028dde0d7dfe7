import { test as base, expect } from 'vitest'
import type { Commit } from '../../src/commit/index.js'
import { newCounts } from '../../src/functions/host/function-counts.js'
import {
  type FunctionAnswer,
  type FunctionCall,
  type FunctionInvoker,
  FunctionLogs,
} from '../../src/functions/index.js'
import { retryDelaysMs, WaitingCalls, waitingMsMax } from '../../src/functions/waiting/waiting-calls.js'
import { MillraceError, silentLogger } from '../../src/runtime/index.js'
import { open } from '../commit/open-memory.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'

/** A function whose calls a test ends. */
class Played implements FunctionInvoker {
  threads = 1
  readonly calls: { call: FunctionCall; end(answer: 'well' | 'failed' | MillraceError): Promise<void> }[] = []
  underWay = 0

  free(): number {
    return this.threads - this.underWay
  }

  invoke(call: FunctionCall): Promise<FunctionAnswer> {
    this.underWay++
    return new Promise((resolve, reject) => {
      const end = async (answer: 'well' | 'failed' | MillraceError) => {
        this.underWay--
        const about = { requestId: call.requestId as string, payload: 'null', durationMs: 1, logTail: '' }
        if (answer instanceof MillraceError) reject(answer)
        else resolve(answer === 'well' ? about : { ...about, functionError: 'Unhandled' })
        await turns()
      }
      this.calls.push({ call, end })
    })
  }

  events(): unknown[] {
    return this.calls.map(({ call }) => JSON.parse(Buffer.from(call.payload).toString()) as unknown)
  }
}

/** What was begun comes to where it waits for something: everything is in memory here. */
async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

const event = (value: unknown) => new Uint8Array(Buffer.from(JSON.stringify(value)))

class World {
  readonly storage = new MemoryStorage()
  readonly clock = new ManualClock()
  readonly invoker = new Played()
  readonly counts = newCounts()
  readonly logs = new FunctionLogs({
    folder: temporaryFolder(),
    logBytesMax: 1 << 20,
    clock: this.clock,
    logger: silentLogger,
  })
  commit!: Commit
  waiting!: WaitingCalls
  limits = { waitingCallsMax: 100, waitingBytesMax: 1000 }

  async start(): Promise<void> {
    this.commit = (await open(this.storage, temporaryFolder(), { clock: this.clock })).commit
    this.waiting = new WaitingCalls({ ...this, countsOf: () => this.counts, logger: silentLogger })
    await this.waiting.load()
    this.waiting.start()
    await turns()
  }

  /** As after a kill: nothing but what was committed is known. */
  async restart(): Promise<void> {
    this.waiting.close()
    this.clock.clear()
    this.invoker.underWay = 0
    await this.start()
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await turns()
  }

  last() {
    return this.invoker.calls[this.invoker.calls.length - 1] as Played['calls'][number]
  }
}

const test = base.extend<{ world: World }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads what a fixture needs from the pattern.
  world: async ({}, use) => {
    const world = new World()
    await world.start()
    await use(world)
    world.waiting.close()
  },
})

test('in order, as many at a time as there are threads, each until it is taken', async ({ world }) => {
  for (const n of [1, 2, 3]) await world.waiting.add('f', event(n))
  await turns()
  expect([world.invoker.events(), world.waiting.countOf('f')]).toEqual([[1], 3])
  await world.last().end('well')
  expect([world.invoker.events(), world.waiting.countOf('f')]).toEqual([[1, 2], 2])
  await world.last().end('well')
  await world.last().end('well')
  expect([world.invoker.events(), world.waiting.countOf('f')]).toEqual([[1, 2, 3], 0])
  await world.restart()
  expect(world.invoker.calls).toHaveLength(3)
})

test('others hold the threads: it waits for one without counting that as an attempt', async ({ world }) => {
  world.invoker.underWay = 1
  await world.waiting.add('f', event('a'))
  await world.advance(1000)
  expect(world.invoker.calls).toHaveLength(0)
  world.invoker.underWay = 0
  await world.advance(1000)
  await world.last().end(new MillraceError('FUNCTION_BUSY', 'Others were quicker.'))
  await world.advance(1000)
  await world.last().end('well')
  expect([world.invoker.events(), world.waiting.countOf('f'), world.counts.retries]).toEqual([['a', 'a'], 0, 0])
})

test('a handler that fails is called twice more, with the same request id; then the event is in the log', async ({
  world,
}) => {
  const { requestId } = await world.waiting.add('f', event({ lost: 'this one' }))
  await turns()
  for (const [failed, delay] of retryDelaysMs.entries()) {
    await world.last().end('failed')
    await world.advance(delay - 1)
    expect(world.invoker.calls).toHaveLength(failed + 1)
    await world.advance(1)
    expect(world.invoker.calls).toHaveLength(failed + 2)
  }
  await world.last().end('failed')
  expect(world.invoker.calls.map(({ call }) => call.requestId)).toEqual([requestId, requestId, requestId])
  expect(world.counts).toMatchObject({ retries: 2, dropped: 1 })
  expect(world.waiting.countOf('f')).toBe(0)
  expect(world.logs.of('f').newest(10_000)).toContain(
    `${requestId}\tERROR\tThe call is given up, its event is lost: all of its 3 attempts have failed. {"lost":"this one"}`,
  )
})

test('a kill: what was not taken is called again, and what has failed keeps its attempts and its time', async ({
  world,
}) => {
  await world.waiting.add('f', event('failed'))
  await turns()
  await world.last().end('failed')
  await world.waiting.add('f', event('under way'))
  await turns()
  await world.restart()
  expect(world.invoker.events()).toEqual(['failed', 'under way', 'under way'])
  await world.last().end('well')
  await world.advance(retryDelaysMs[0] as number)
  await world.last().end('failed')
  await world.restart()
  await world.advance(retryDelaysMs[1] as number)
  await world.last().end('failed')
  expect(world.invoker.events().slice(3)).toEqual(['failed', 'failed'])
  expect([world.counts.dropped, world.waiting.countOf('f')]).toEqual([1, 0])
})

test('six hours, whoever held it up', async ({ world }) => {
  world.invoker.underWay = 1
  await world.waiting.add('f', event('old'))
  await world.advance(waitingMsMax + 1)
  world.invoker.underWay = 0
  await world.advance(1000)
  expect([world.invoker.calls.length, world.counts.dropped, world.waiting.countOf('f')]).toEqual([0, 1, 0])
})

test('bounds: calls, bytes; room comes back', async ({ world }) => {
  await world.waiting.add('f', event('x'.repeat(700)))
  await expect(world.waiting.add('f', event('x'.repeat(700)))).rejects.toMatchObject({ code: 'TOO_BUSY' })
  world.limits.waitingCallsMax = 1
  await expect(world.waiting.add('f', event(1))).rejects.toMatchObject({ code: 'TOO_BUSY' })
  await turns()
  await world.last().end('well')
  await world.waiting.add('f', event('x'.repeat(700)))
})

test('a function that is deleted takes its calls with it', async ({ world }) => {
  for (const n of [1, 2]) await world.waiting.add('f', event(n))
  await turns()
  await world.waiting.remove('f')
  expect(world.waiting.countOf('f')).toBe(0)
  // Its last call ends: another function of its name is not called with it.
  await world.waiting.add('f', event('new'))
  await world.last().end('failed')
  await world.advance(lookAgainMs)
  expect(world.invoker.events()).toEqual([1, 'new'])
  await world.last().end(new MillraceError('FUNCTION_NOT_FOUND', 'Gone.'))
  await world.restart()
  await world.advance(waitingMsMax)
  expect(world.invoker.events()).toEqual([1, 'new'])
})

test('when the daemon stops in the midst of a call, it is made when it is back', async ({ world }) => {
  await world.waiting.add('f', event(1))
  await turns()
  await world.last().end(new MillraceError('FUNCTION_STOPPED', 'The daemon stops.'))
  await world.restart()
  expect(world.invoker.events()).toEqual([1, 1])
})

const lookAgainMs = 1000
