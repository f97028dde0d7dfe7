import { expect, test } from 'vitest'
import { TombstoneRounds } from '../../src/replicate/tombstone-rounds.js'

const retentionMs = 86_400_000
const pieceRows = 256

/** Tables with tombstones, by when they were written; sweeps them as the store does. */
class Tombstones {
  now = 1_000_000_000
  read = 0
  readonly tables = new Map<number, { readonly place: number; readonly at: number }[]>()
  readonly rounds = new TombstoneRounds({
    monotonic: () => this.now,
    now: () => this.now,
    isStopped: () => false,
    sweep: async ({ id }, behind, mayGo) => {
      const from = behind ? behind.readUInt32BE() : 0
      const all = this.tables.get(id) ?? []
      const begin = all.findIndex(({ place }) => place > from)
      const piece = begin < 0 ? [] : all.slice(begin, begin + pieceRows)
      this.read += piece.length
      const left = piece.filter(({ at }) => !mayGo({ region: '', at }))
      if (piece.length > 0) all.splice(begin, piece.length, ...left)
      const next = Buffer.alloc(4)
      next.writeUInt32BE(piece.at(-1)?.place ?? 0)
      return {
        gone: piece.length - left.length,
        left: left.length,
        oldest: left.reduce<number | undefined>((least, { at }) => Math.min(least ?? at, at), undefined),
        next: begin + left.length < all.length && piece.length > 0 ? next : undefined,
      }
    },
  })

  add(id: number, many: number): void {
    const known = this.tables.get(id) ?? []
    const first = (known.at(-1)?.place ?? 0) + 1
    this.tables.set(id, [...known, ...Array.from({ length: many }, (_, i) => ({ place: first + i, at: this.now }))])
  }

  /** One turn a second; gives the most that one of them has read. */
  async pass(seconds: number, confirmed = Number.POSITIVE_INFINITY): Promise<number> {
    let most = 0
    for (let i = 0; i < seconds; i++) {
      const before = this.read
      const old = this.now - retentionMs
      await this.rounds.turn(
        [...this.tables.keys()].map((id) => ({
          id,
          name: `table ${id}`,
          retentionMs,
          mayGo: async () => (tombstone) => tombstone.at <= Math.min(old, confirmed),
        })),
      )
      most = Math.max(most, this.read - before)
      this.now += 1_000
    }
    return most
  }
}

test('one turn looks at a bounded number of deletions, of all tables in turn, and all of them are counted', async () => {
  const all = new Tombstones()
  all.add(1, 20_000)
  all.add(2, 300)
  expect(await all.pass(2)).toBeLessThan(2_500)
  // The small table has not waited for the large one.
  expect(all.read).toBeGreaterThan(3_900)
  await all.pass(20)
  expect(all.read).toBe(20_300)
  expect(all.rounds.count).toBe(20_300)
})

test('what is not due is left alone, and goes when it is', async () => {
  const all = new Tombstones()
  all.add(1, 500)
  await all.pass(1)
  expect(all.read).toBe(500)
  await all.pass(590)
  expect(all.read).toBe(500)
  all.now += retentionMs
  await all.pass(20)
  expect(all.tables.get(1)).toEqual([])
  expect(all.rounds.count).toBe(0)
})

test('deletions that a region has not confirmed are looked at every ten seconds at most, a bounded number a turn', async () => {
  const all = new Tombstones()
  all.add(1, 5_000)
  all.now += 2 * retentionMs
  expect(await all.pass(200, 0)).toBeLessThan(2_500)
  expect(all.read).toBeLessThanOrEqual(20 * 5_000)
  await all.pass(20)
  expect(all.rounds.count).toBe(0)
})
