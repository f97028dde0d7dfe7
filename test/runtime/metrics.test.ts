import { expect, test } from 'vitest'
import { Metrics } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'

const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

test('of two readers neither cuts short what the other is told of the event loop', async () => {
  const clock = new ManualClock()
  const metrics = new Metrics('test', clock)
  const lag = async () => (await metrics.samples(['event_loop_lag_seconds'])).map(({ value }) => value)
  await turn()
  const first = await lag()
  // What was late runs first, and says how late it was; the first run of all has nothing to be measured against.
  for (let i = 0; i < 3; i++) {
    block(200)
    await turn()
  }
  clock.advance(9999)
  expect(await lag()).toEqual(first)
  clock.advance(1)
  const [, slowest] = await lag()
  expect(slowest).toBeGreaterThan(0.1)
  clock.advance(5000)
  // The other reader is told the same.
  expect((await lag())[1]).toBe(slowest)
})

test('a metric that nobody knows has no samples, and one that is named twice is told once', async () => {
  const metrics = new Metrics('test')
  const counter = metrics.counter('things_total', 'Things.', ['kind'])
  counter(2, { kind: 'a' })
  expect(await metrics.samples(['nothing', 'things_total', 'things_total'])).toEqual([
    { name: 'things_total', labels: { kind: 'a' }, value: 2 },
  ])
})
