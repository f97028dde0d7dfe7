import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SearchWorld } from './search-world.js'
import { searchServerAvailable } from './server.mjs'
import { Witness } from './witness.js'

const keys = 60
const rounds = 9

// Writes go on while daemon and server are killed in turn, alone and together.
describe.runIf(searchServerAvailable())('an index over kill -9 of the daemon and of the server', () => {
  let world: SearchWorld
  let witness: Witness
  beforeAll(async () => {
    world = await SearchWorld.start({ MILLRACE_PIPELINES_OUTBOX_BYTES_MAX: '20000' })
    witness = await Witness.start(world.server.url)
  })
  afterAll(async () => {
    await world.close()
    await witness.close()
  })

  it('ends as the table, and shows no old version after a newer one', async () => {
    const table = new Map<string, number>()
    /** Keys whose last write was not answered: whether it counts is not known. */
    const unsure = new Set<string>()
    let n = 0
    let seed = 1
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return Math.floor((seed / 2 ** 31) * below)
    }
    /** One key is written by one client at a time. */
    const write = async (id: string) => {
      const isPut = random(3) > 0
      const value = ++n
      unsure.add(id)
      await (isPut ? world.put(id, value) : world.remove(id))
      unsure.delete(id)
      if (isPut) table.set(id, value)
      else table.delete(id)
    }
    const writes = (count: number) =>
      Promise.all(
        Array.from({ length: 6 }, async (_, client) => {
          for (let i = 0; i < count; i++) await write(`key ${client * (keys / 6) + random(keys / 6)}`).catch(() => {})
        }),
      )

    // A server shows what it has not acknowledged yet, and a kill takes that back until it is sent again. So what must not go back
    // is what was shown between two kills of the server, and what it has acknowledged.
    /** The newest version of each document that a reader was shown, what it was, and in which life of the server. */
    const shown = new Map<string, { readonly life: number; readonly version: number; readonly n: number }>()
    const seen = new Set<string>()
    const stale: string[] = []
    let life = 0
    let isOver = false
    let round = 0
    const watch = async () => {
      const ids = Array.from({ length: keys }, (_, i) => `key ${i}`)
      while (!isOver) {
        const asked = life
        // What the server has acknowledged before the question holds for its answer.
        const acknowledged = new Map(witness.acknowledged)
        const answer = await world
          .ask<{ docs?: { _id: string; found?: boolean; _version: number; _source: { n: number } }[] }>(
            'POST',
            'notes/_mget',
            { ids },
          )
          .catch(() => undefined)
        for (const { _id: id, found, _version: version, _source } of asked === life ? (answer?.docs ?? []) : []) {
          if (!found) continue
          const { n } = _source
          const last = shown.get(id) ?? { life, version: 0, n: 0 }
          const what = `round ${round}, ${id}: ${n} (version ${version}) after ${last.n} (version ${last.version})`
          const floor = acknowledged.get(id) ?? 0
          if (version < floor) stale.push(`${what}, acknowledged was ${floor}`)
          if (last.life === asked && (version < last.version || n < last.n)) stale.push(what)
          if (version > last.version || last.life !== asked) shown.set(id, { life: asked, version, n })
          seen.add(id)
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }

    await writes(20)
    await world.deploy('change.new', '', witness.url)
    const watching = watch()
    for (; round < rounds; round++) {
      const writing = writes(40)
      await new Promise((resolve) => setTimeout(resolve, random(400)))
      const [isDaemon, isServer] = [round % 3 !== 1, round % 3 !== 0]
      if (isServer) {
        life++
        await world.server.kill()
      }
      if (isDaemon) await world.daemon.kill()
      await writing
      if (isDaemon) await world.startDaemon()
      // The daemon meets a server that is away.
      await writes(20)
      if (isServer) await world.server.start()
      await writes(5)
    }
    for (const id of unsure) await write(id)
    const found = async () => [...(await world.documents())].map(([id, { _source }]) => [id, _source.n]).sort()
    await expect.poll(found, { interval: 200 }).toEqual([...table].sort())
    isOver = true
    await watching
    expect(stale).toEqual([])
    expect(seen.size).toBeGreaterThan(keys / 2)
    expect(await found()).toEqual([...table].sort())
    expect(await world.outbox()).toMatchObject({ records: 0, deadLetters: 0 })
  }, 900_000)
})
