import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { orOver } from '../../src/kafka/signal.js'

const never = new Promise<never>(() => {})

test('gives what comes first, and after the end the end', async () => {
  let end = (): void => {}
  const orEnd = orOver(
    new Promise<string>((resolve) => {
      end = () => resolve('over')
    }),
  )
  expect(await orEnd(Promise.resolve(1))).toBe(1)
  await expect(orEnd(Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  const [one, other] = [orEnd(never), orEnd(never)]
  end()
  expect([await one, await other, await orEnd(never)]).toEqual(['over', 'over', 'over'])
})

test('an end that is a failure fails whoever waits', async () => {
  let fail = (_error: Error): void => {}
  const orLost = orOver(
    new Promise<never>((_, reject) => {
      fail = reject
    }),
  )
  const waiting = orLost(never)
  fail(new Error('lost'))
  await expect(waiting).rejects.toThrow('lost')
  await expect(orLost(never)).rejects.toThrow('lost')
})

test('what was waited for is not kept for as long as the end is awaited', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const lasting = new Promise<never>(() => {})
  const orEnd = orOver(lasting)
  const seen: WeakRef<object>[] = []
  for (let i = 0; i < 100; i++) seen.push(new WeakRef(await orEnd(Promise.resolve({ i }))))
  // What a WeakRef was made of or has given stays until the end of the turn.
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  expect(seen.filter((each) => each.deref() !== undefined).length).toBeLessThanOrEqual(1)
  expect(orEnd).toBeTypeOf('function')
})
