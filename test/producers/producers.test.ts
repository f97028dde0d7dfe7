import { describe, expect, it } from 'vitest'
import type { RowEffect } from '../../src/commit/index.js'
import { encodeBatch, stampProducer } from '../../src/log/index.js'
import { Producers } from '../../src/producers/index.js'
import {
  type ProducerEvent,
  type ProducerReply,
  type ProducerState,
  producerLifecycle,
  producerState,
} from '../../src/producers/producer-lifecycle.js'
import { decodeProducer, producerKey } from '../../src/producers/rows.js'
import type { MillraceError } from '../../src/runtime/index.js'
import { images, openLog, record } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'

const limits = { producersMax: 3, producerIdleMs: 60_000 }

async function begin(storage = new MemoryStorage(), folder = temporaryFolder()) {
  const clock = new ManualClock()
  const opened = await openLog(storage, folder, {}, { clock })
  const { commit, counters, log } = opened
  const errors: unknown[] = []
  const onError = (error: unknown) => void errors.push(error)
  const producers = await Producers.open({ storage, commit, counters, log, clock, limits, onError })
  const stream = log.streamNamed('s') ?? (await log.createStream({ name: 's', kind: 'plain', shards: 1, images }))
  return { ...opened, storage, folder, clock, producers, stream, errors }
}

type Begun = Awaited<ReturnType<typeof begin>>

function batch(producer: number, number: number, epoch = 1, body = `body ${number}`): Buffer {
  const bytes = encodeBatch([record(`key ${number}`, body)])
  stampProducer(bytes, { producer, number, epoch })
  return bytes
}

const append = ({ producers, stream }: Begun, bytes: Buffer) => producers.append(stream, bytes, 1)
const stored = ({ log, stream }: Begun) => {
  const shard = log.shards(stream.id)[0]!
  return log.lastSequence(shard.id) - shard.firstSequence
}

describe('a producer', () => {
  it('has each number stored once, however often it comes, and answers as it did before', async () => {
    const begun = await begin()
    const { producer, epoch, last } = await begun.producers.openProducer(begun.stream.id)
    expect([epoch, last]).toEqual([1, 0])
    const first = await append(begun, batch(producer, 1))
    expect(first).toMatchObject({ alreadyStored: false, count: 1 })
    const again = await Promise.all([1, 2, 3].map(() => append(begun, batch(producer, 1))))
    for (const answer of again) expect(answer).toEqual({ ...first, alreadyStored: true })
    await append(begun, batch(producer, 2))
    expect(await append(begun, batch(producer, 1))).toEqual({ alreadyStored: true, last: 2 })
    expect(stored(begun)).toBe(2)
  })

  it('that sends what cannot be its next batch stores nothing', async () => {
    const begun = await begin()
    const { producer } = await begun.producers.openProducer(begun.stream.id)
    await append(begun, batch(producer, 1))
    const refused = [
      [batch(producer, 3), 'OUT_OF_ORDER'],
      [batch(producer, 0), 'PRODUCER_MISUSE'],
      [batch(producer, 1, 1, 'another body'), 'PRODUCER_MISUSE'],
      [batch(producer, 2, 2), 'PRODUCER_FENCED'],
      [batch(producer, 2, 0), 'PRODUCER_FENCED'],
      [batch(producer + 1, 1), 'PRODUCER_UNKNOWN'],
      [batch(producer + 1, 2), 'PRODUCER_UNKNOWN'],
    ] as const
    for (const [bytes, code] of refused) await expect(append(begun, bytes), code).rejects.toMatchObject({ code })
    expect(stored(begun)).toBe(1)
  })

  it('sent twice at once is stored once, and neither is answered before it is durable', async () => {
    const begun = await begin()
    const { producer } = await begun.producers.openProducer(begun.stream.id)
    let letWrite = () => {}
    begun.storage.beforeWrite = () =>
      new Promise((resolve) => {
        letWrite = resolve
      })
    let answers = 0
    const both = [1, 2].map(() =>
      append(begun, batch(producer, 1)).then((answer) => {
        answers++
        return answer
      }),
    )
    for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve))
    expect(answers).toBe(0)
    begun.storage.beforeWrite = () => {}
    letWrite()
    const shown = await Promise.all(both)
    expect(shown.map(({ alreadyStored }) => alreadyStored).sort()).toEqual([false, true])
    expect(stored(begun)).toBe(1)
  })

  it('opened again says what is stored, and fences the one before, across a restart', async () => {
    const begun = await begin()
    const { producer } = await begun.producers.openProducer(begun.stream.id)
    for (const number of [1, 2, 3]) await append(begun, batch(producer, number))
    await begun.producers.close()
    const again = await begin(begun.storage, begun.folder)
    expect(await append(again, batch(producer, 3))).toMatchObject({ alreadyStored: true, count: 1 })
    expect(await again.producers.openProducer(again.stream.id, producer)).toEqual({ producer, epoch: 2, last: 3 })
    await expect(append(again, batch(producer, 4))).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
    await append(again, batch(producer, 4, 2))
    // A number is never given to a second one.
    const other = await again.producers.openProducer(again.stream.id)
    expect(other.producer).not.toBe(producer)
    expect(stored(again)).toBe(4)
  })

  it('its row and its records are in one write: what a kill leaves, it leaves of both', async () => {
    const begun = await begin()
    const { producer } = await begun.producers.openProducer(begun.stream.id)
    for (const number of [1, 2, 3]) await append(begun, batch(producer, number))
    // Every prefix of the writes, as a kill may leave it.
    const found = new Set<number>()
    for (let kept = 0; kept <= begun.storage.history.length; kept++) {
      const left = begun.storage.without((index) => index >= kept)
      const again = await begin(left, temporaryFolder()).catch(() => undefined)
      if (!again || again.producers.count(again.stream.id) === 0) continue
      const { last } = await again.producers.openProducer(again.stream.id, producer)
      expect(last).toBe(stored(again))
      found.add(last)
    }
    expect([...found]).toEqual([0, 1, 2, 3])
  })

  it('is not touched by splits, and its answer says all the places', async () => {
    const begun = await begin()
    const { producer } = await begun.producers.openProducer(begun.stream.id)
    await begun.log.split(begun.log.shards(begun.stream.id)[0]!.id)
    const records = Array.from({ length: 20 }, (_, i) => record(`key ${i}`, 'x'))
    const bytes = encodeBatch(records)
    stampProducer(bytes, { producer, number: 1, epoch: 1 })
    const first = await begun.producers.append(begun.stream, bytes, 20)
    expect('placed' in first && first.placed.map(({ shard }) => shard).sort()).toEqual([2, 3])
    await begun.log.split(2 as never)
    expect(await begun.producers.append(begun.stream, bytes, 20)).toEqual({ ...first, alreadyStored: true })
  })

  it('is forgotten when it is idle for long enough, not before, and not while the clock is not believed', async () => {
    const begun = await begin()
    begun.producers.start()
    const opened = await begun.producers.openProducer(begun.stream.id)
    const used = await begun.producers.openProducer(begun.stream.id)
    const pass = async (ms: number) => {
      begun.clock.advance(ms)
      await begun.producers.sweep()
    }
    await pass(limits.producerIdleMs / 2)
    await append(begun, batch(used.producer, 1))
    await pass(limits.producerIdleMs / 2)
    expect(begun.producers.count(begun.stream.id)).toBe(2)
    // The wall clock jumps: nothing is deleted by it.
    begun.clock.wall += 10 * limits.producerIdleMs * 60
    await begun.producers.sweep()
    expect(begun.producers.count(begun.stream.id)).toBe(2)
    begun.clock.wall -= 10 * limits.producerIdleMs * 60
    await pass(1)
    expect(begun.producers.count(begun.stream.id)).toBe(1)
    await expect(append(begun, batch(opened.producer, 1))).rejects.toMatchObject({ code: 'PRODUCER_UNKNOWN' })
    await append(begun, batch(used.producer, 2))
    expect(begun.errors).toEqual([])
    await begun.producers.close()
  })

  it('that is closed makes room, unless somebody opened it since', async () => {
    const begun = await begin()
    const { producer } = await begun.producers.openProducer(begun.stream.id)
    await begun.producers.openProducer(begun.stream.id, producer)
    const close = (epoch: number) => begun.producers.closeProducer(begun.stream.id, producer, epoch)
    await expect(close(1)).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
    expect(begun.producers.count(begun.stream.id)).toBe(1)
    await close(2)
    await close(2)
    expect(begun.producers.count(begun.stream.id)).toBe(0)
    await expect(append(begun, batch(producer, 1, 2))).rejects.toMatchObject({ code: 'PRODUCER_UNKNOWN' })
  })

  it('is one of producersMax, and all of a deleted stream go', async () => {
    const begun = await begin()
    const opened = await Promise.allSettled([1, 2, 3, 4, 5].map(() => begun.producers.openProducer(begun.stream.id)))
    expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    expect(opened.at(-1)).toMatchObject({ reason: { code: 'TOO_BUSY' } })
    await begun.log.closeStream(begun.stream.id)
    await expect(append(begun, batch(1, 1))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await begun.producers.sweep()
    expect(begun.producers.count(begun.stream.id)).toBe(0)
    expect([...begun.storage.rows.keys()].filter((key) => key.charCodeAt(0) === 0x10)).toEqual([])
  })
})

describe('what a producer replies', () => {
  /** Brings a producer into each state; what is asked of it is asked under epoch 1. */
  const into: Record<ProducerState, (begun: Begun) => Promise<number>> = {
    unknown: async (begun) => {
      const producer = await into.stored(begun)
      await begun.producers.closeProducer(begun.stream.id, producer, 1)
      return producer
    },
    empty: async ({ producers, stream }) => (await producers.openProducer(stream.id)).producer,
    stored: async (begun) => {
      const producer = await into.empty(begun)
      for (const number of [1, 2]) await append(begun, batch(producer, number))
      return producer
    },
    fenced: async (begun) => {
      const producer = await into.stored(begun)
      await begun.producers.openProducer(begun.stream.id, producer)
      return producer
    },
  }
  const sent = (begun: Begun, producer: number, number: number, body?: string) =>
    append(begun, batch(producer, number, 1, body)).then((answer) =>
      answer.alreadyStored ? ('placed' in answer ? 'storedAnswer' : 'alreadyStored') : 'store',
    )
  const asked: Record<ProducerEvent, (begun: Begun, producer: number, last: number) => Promise<ProducerReply>> = {
    open: ({ producers, stream }, producer) => producers.openProducer(stream.id, producer).then(() => 'opened'),
    close: ({ producers, stream }, producer) => producers.closeProducer(stream.id, producer, 1).then(() => 'closed'),
    idle: async ({ producers, clock }) => {
      clock.advance(limits.producerIdleMs + 1)
      await producers.sweep()
      return 'forgotten'
    },
    next: (begun, producer, last) => sent(begun, producer, last + 1),
    again: (begun, producer, last) => sent(begun, producer, last),
    other: (begun, producer, last) => sent(begun, producer, last, 'another'),
    earlier: (begun, producer, last) => sent(begun, producer, last - 1),
    ahead: (begun, producer, last) => sent(begun, producer, last + 2),
    zero: (begun, producer) => sent(begun, producer, 0),
  }
  const states = Object.keys(producerLifecycle) as ProducerState[]
  const cases = states.flatMap((state) =>
    (Object.keys(asked) as ProducerEvent[]).flatMap((event) => {
      const transition = producerLifecycle[state][event]
      return transition ? [{ state, event, ...transition }] : []
    }),
  )

  it.each(cases)('$state, $event: $reply, and it is $to', async ({ state, event, reply, to }) => {
    const begun = await begin()
    const producer = await into[state](begun)
    const before = stored(begun)
    const last = state === 'empty' ? 0 : 2
    const got = await asked[event](begun, producer, last).catch((error: MillraceError) => error.code)
    expect(got).toBe(reply)
    expect(stored(begun) - before).toBe(reply === 'store' ? 1 : 0)
    const row = await begun.commit.readDurable(producerKey(begun.stream.id, producer))
    expect(producerState(row && decodeProducer(row), 1)).toBe(to)
    await begun.producers.close()
  })
})

describe('a commit', () => {
  it('refuses the effect set whose guard says so when it is packed, whole, and takes the others', async () => {
    const { commit, stream, log } = await begin()
    const row = (name: string): RowEffect => ({ key: Buffer.from(`\x7f${name}`), value: Buffer.from('1') })
    let isOpen = true
    const taken = commit.submit({
      atPack: () => {
        isOpen = false
        return [row('first')]
      },
    })
    const asked: boolean[] = []
    const refused = commit.submit({
      guard: () => {
        asked.push(isOpen)
        return isOpen ? undefined : (new Error('closed') as never)
      },
      atPack: () => [row('refused')],
      afterPack: () => [row('refused after')],
      records: [{ stream: stream.id, records: [record('k', 'refused')] }],
    })
    const passed = commit.submit({
      guard: () => undefined,
      atPack: () => [row('passed')],
      records: [{ stream: stream.id, records: [record('k', 'passed')] }],
    })
    await expect(refused).rejects.toThrow('closed')
    await Promise.all([taken, passed])
    expect(asked).toEqual([false])
    const has = async (name: string) => (await commit.readDurable(row(name).key)) !== undefined
    expect(await Promise.all(['first', 'refused', 'refused after', 'passed'].map(has))).toEqual([
      true,
      false,
      false,
      true,
    ])
    const shard = log.shards(stream.id)[0]!
    expect(log.lastSequence(shard.id) - shard.firstSequence).toBe(1)
    expect(() => commit.submit({ guard: () => undefined, rows: [row('x')] })).toThrow('guard')
  })
})
