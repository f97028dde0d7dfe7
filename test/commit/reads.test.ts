import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { limits, open } from './open-memory.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Random waits of the store, so that reads and writes overlap in every way. */
class SlowStorage extends MemoryStorage {
  constructor(waits: readonly number[]) {
    super()
    let at = 0
    const wait = async () => {
      for (let i = waits[at++ % waits.length] as number; i > 0; i--) await turn()
    }
    this.beforeGet = wait
    this.beforeWrite = wait
  }
}

const step = fc.record({
  row: fc.integer({ min: 0, max: 3 }),
  kind: fc.constantFrom('write', 'write', 'read', 'durable', 'many', 'atPack'),
  turns: fc.integer({ min: 0, max: 3 }),
})

it('no read gives less than what was acknowledged when it began, and no decider less than what is queued', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 80 }),
      fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0, 250, 1 << 20),
      async (steps, waits, rowCacheBytesMax) => {
        const { commit } = await open(new SlowStorage(waits), temporaryFolder(), {
          limits: { ...limits, commitBytesMax: 200, rowCacheBytesMax },
        })
        const keyOf = (row: number) => Buffer.from([8, row])
        const numberOf = (value: Buffer | undefined) => (value ? Number(value.toString()) : 0)
        const queued = [0, 0, 0, 0]
        const acknowledged = [0, 0, 0, 0]
        const running: Promise<unknown>[] = []
        const write = async (row: number, isAtPack: boolean) => {
          const release = await commit.latch([keyOf(row)])
          const decided = await commit.read(keyOf(row))
          // A row that is made at packing is in no overlay: its writer waits for it under the latch.
          expect(numberOf(decided.value)).toBe(queued[row])
          const next = ++queued[row]!
          const rows = [{ key: keyOf(row), value: Buffer.from(String(next)) }]
          const receipt = commit.submit(isAtPack ? { atPack: () => rows } : { rows })
          if (isAtPack) await receipt
          release()
          await receipt
          acknowledged[row] = Math.max(acknowledged[row]!, next)
        }
        const many = async () => {
          const least = acknowledged.slice()
          const values = (await commit.readDurableMany([0, 1, 2, 3].map(keyOf))).map(numberOf)
          for (const row of [0, 1, 2, 3]) expect(values[row]).toBeGreaterThanOrEqual(least[row]!)
        }
        const one = async (row: number) => {
          const least = acknowledged[row]!
          expect(numberOf(await commit.readDurable(keyOf(row)))).toBeGreaterThanOrEqual(least)
        }
        const waitedFor = async (row: number) => {
          const { value, seen } = await commit.read(keyOf(row))
          if (seen !== undefined) await commit.returned(seen)
          // An answer that waited for what it saw is never newer than what is durable.
          expect(numberOf(await commit.readDurable(keyOf(row)))).toBeGreaterThanOrEqual(numberOf(value))
        }
        for (const { row, kind, turns } of steps) {
          if (kind === 'write' || kind === 'atPack') running.push(write(row, kind === 'atPack'))
          else if (kind === 'many') running.push(many())
          else running.push(kind === 'durable' ? one(row) : waitedFor(row))
          for (let i = 0; i < turns; i++) await turn()
        }
        await Promise.all(running)
        await commit.close()
        for (const row of [0, 1, 2, 3]) expect(acknowledged[row]).toBe(queued[row])
      },
    ),
    { numRuns: 40 },
  )
})
