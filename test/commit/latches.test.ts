import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Latches } from '../../src/commit/latches.js'

test('one holds a key at a time, first come first served, and none is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(
      // Enough for several maps of held keys; some holders keep theirs for long.
      fc.array(fc.record({ keys: fc.array(fc.nat(700), { minLength: 1, maxLength: 3 }), turns: fc.nat(40) }), {
        minLength: 800,
        maxLength: 1500,
        size: 'max',
      }),
      async (wanted) => {
        const latches = new Latches(10_000)
        const held = new Set<string>()
        const waiting = new Map<string, number[]>()
        let done = 0
        await Promise.all(
          wanted.map(async ({ keys, turns }, i) => {
            const names = [...new Set(keys.map(String))]
            // Those of one key come in the order in which they asked for it.
            const [only] = names
            const isOnly = names.length === 1 && only !== undefined
            if (isOnly) waiting.set(only, [...(waiting.get(only) ?? []), i])
            const release = await latches.take(names)
            if (isOnly) expect(waiting.get(only)?.shift()).toBe(i)
            for (const name of names) {
              expect(held.has(name)).toBe(false)
              held.add(name)
            }
            for (let turn = 0; turn < turns; turn++) await undefined
            for (const name of names) held.delete(name)
            release()
            release()
            done++
          }),
        )
        expect(done).toBe(wanted.length)
        expect(held.size).toBe(0)
        for (let key = 0; key <= 700; key++) {
          expect(latches.takeNow(String(key))).toBe(true)
          expect(latches.takeNow(String(key))).toBe(false)
          latches.giveBack(String(key))
        }
      },
    ),
    { numRuns: 20 },
  )
})

test('too many who wait for one row are refused, and what they held is free again', async () => {
  const latches = new Latches(1)
  const first = await latches.take(['b'])
  const second = latches.take(['b'])
  await expect(latches.take(['a', 'b'])).rejects.toMatchObject({ code: 'TOO_BUSY' })
  expect(latches.takeNow('a')).toBe(true)
  first()
  ;(await second)()
  expect(latches.takeNow('b')).toBe(true)
})
