import { expect, test } from 'vitest'
import type { Receipt } from '../../src/commit/index.js'
import { Storing } from '../../src/kafka/intake/storing.js'
import type { Target } from '../../src/kafka/intake/target.js'
import { ManualClock } from '../manual-clock.js'

const mebibyte = 1024 * 1024

/** Takes everything, and makes nothing of it. */
const target: Target = {
  prepare: ({ length: taken }) => ({
    taken,
    rows: [],
    records: [],
    refused: [],
    release: () => {},
    check: () => {},
  }),
}

/** A store whose commits return when they are told to. */
function world() {
  const receipts: (() => void)[] = []
  const storing = new Storing({
    bridge: 'b',
    topic: 't',
    instance: '00000000-0000-4000-8000-000000000000',
    target,
    deadLetters: undefined,
    commit: { submit: () => new Promise<Receipt>((resolve) => receipts.push(() => resolve({ commit: 1, time: 0 }))) },
    log: { stream: () => undefined },
    clock: new ManualClock(),
    stop: new AbortController().signal,
    onStored: () => {},
    onBusy: () => {},
    onCalm: () => {},
    onFailure: () => {},
  })
  return { storing, receipts, giveReceipts: () => receipts.splice(0).forEach((give) => void give()) }
}

const messagesOf = (partition: number, mebibytes: number) => ({
  partition,
  records: Array.from({ length: mebibytes }, (_, offset) => ({
    offset,
    timestamp: 0,
    key: null,
    value: Buffer.alloc(mebibyte),
    headers: [],
  })),
  next: mebibytes,
  end: mebibytes,
})

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('the loops of several brokers wait together while too much is in commits, and all go on', async () => {
  const { storing, giveReceipts } = world()
  const over: number[] = []
  for (const partition of [0, 1, 2]) {
    void storing.take([messagesOf(partition, 17)]).then(() => over.push(partition))
    await settled()
  }
  expect(over).toEqual([])
  const isSettled = storing.settled().then(() => over.push(-1))
  for (let i = 0; i < 60; i++) {
    giveReceipts()
    await settled()
  }
  expect(over.sort()).toEqual([-1, 0, 1, 2])
  await isSettled
})

test('no more than the bound is in commits, however much one answer has', async () => {
  const { storing, receipts, giveReceipts } = world()
  let isOver = false
  const taking = storing.take([messagesOf(0, 20), messagesOf(1, 20)]).then(() => {
    isOver = true
  })
  let most = 0
  while (!isOver) {
    for (let i = 0; i < 50; i++) await settled()
    most = Math.max(most, receipts.length)
    giveReceipts()
    await settled()
  }
  await taking
  expect(most).toBe(16)
})
