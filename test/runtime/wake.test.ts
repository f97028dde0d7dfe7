import { expect, test } from 'vitest'
import { Wake } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'

const clock = new ManualClock()

async function isOver(wait: Promise<void>): Promise<boolean> {
  let over = false
  void wait.then(() => {
    over = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return over
}

test('news between a look and the wait end the wait', async () => {
  const wake = new Wake(clock)
  const { version } = wake
  wake.raise()
  expect(await isOver(wake.news(version, 1_000))).toBe(true)
  expect(await isOver(wake.news(wake.version, 1_000))).toBe(false)
})

test('waits that end by time leave nothing behind, however many there are', async () => {
  const wake = new Wake(clock)
  for (let i = 0; i < 100; i++) {
    const wait = wake.news(wake.version, 10)
    clock.advance(10)
    await wait
  }
  expect(wake.waiting).toBe(0)
})

test('the end ends every wait; news end no pause', async () => {
  const stop = new AbortController()
  const wake = new Wake(clock, stop.signal)
  const [news, pause] = [wake.news(wake.version), wake.pause(1_000)]
  wake.raise()
  expect([await isOver(news), await isOver(pause)]).toEqual([true, false])
  const more = wake.news(wake.version)
  stop.abort()
  expect([await isOver(pause), await isOver(more)]).toEqual([true, true])
  expect(await isOver(wake.news(wake.version))).toBe(true)
})
