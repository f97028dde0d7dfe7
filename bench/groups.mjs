// Groups at the tail, in process: how much CPU 100 of them cost beside one, at a fixed rate of appends, each walking the
// headers of every record; and the memory of the process meanwhile.
//   npm run bench -- groups [--megabytes 1000] [--per-second 50] [--groups 100] [--shards 4]
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ChunkCursor } from '../dist/log/index.js'
import { printMachine, temporaryFolder } from './measure.mjs'
import { batchOf, recordBytes } from './records.mjs'
import { openLogAt } from './store.mjs'

const { values: flags } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1000' },
    'per-second': { type: 'string', default: '50' },
    groups: { type: 'string', default: '100' },
    shards: { type: 'string', default: '4' },
  },
})
const folder = temporaryFolder('groups')
await printMachine(folder)
const bytes = Number(flags.megabytes) * 1e6
const perSecond = Number(flags['per-second']) * 1e6
const appendBytes = 1 << 20

/** Reads what each commit brought, in every shard that it may, and commits its positions at the pace of a pipeline. */
class Follower {
  records = 0
  #next = new Map()
  #moving = false

  constructor(log, commit, group) {
    this.log = log
    this.commit = commit
    this.group = group
    for (const position of group.readable()) this.#next.set(position.shard, position.next)
    log.onChange(group.stream, () => this.wake())
  }

  async wake() {
    if (this.#moving) {
      this.again = true
      return
    }
    this.#moving = true
    do {
      this.again = false
      for (const [shard, next] of this.#next) {
        const page = await this.log.read(shard, next, { bytesMax: 1 << 20 })
        for (const chunk of page.chunks) {
          const cursor = new ChunkCursor(chunk)
          while (cursor.next()) if (cursor.sequence >= next && cursor.kind === 0) this.records++
        }
        page.release?.()
        this.#next.set(shard, page.next)
        if (page.chunks.length > 0) this.again = true
      }
    } while (this.again)
    this.#moving = false
  }

  positions() {
    return [...this.#next].map(([shard, next]) => ({ shard, next, ended: false }))
  }
}

async function run(count) {
  const opened = await openLogAt(join(folder, `groups-${count}`))
  const { log, commit, groups } = opened
  const images = { old: false, new: false }
  const stream = await log.createStream({ name: 'bench', kind: 'plain', shards: Number(flags.shards), images })
  const followers = []
  for (let i = 0; i < count; i++) {
    const group = await groups.create(`group-${i}`, stream.id, 'oldest')
    followers.push(new Follower(log, commit, group))
  }
  const batch = batchOf(Math.round(appendBytes / recordBytes))
  const cpu = process.cpuUsage()
  const began = performance.now()
  let written = 0
  let rssMax = 0
  let positionsAt = 0
  while (written < bytes) {
    await commit.submit({ records: [{ stream: stream.id, batch }] })
    written += batch.length
    rssMax = Math.max(rssMax, process.memoryUsage.rss())
    // Positions of all groups once a second.
    if (performance.now() - positionsAt > 1000) {
      positionsAt = performance.now()
      for (const follower of followers) {
        const positions = follower.positions()
        void commit.submit({ rows: follower.group.rowsFor(positions), essential: true })
      }
    }
    const ahead = (written / perSecond) * 1000 - (performance.now() - began)
    if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead))
  }
  const used = process.cpuUsage(cpu)
  const elapsed = (performance.now() - began) / 1000
  const expected = (written / batch.length) * batch.readUInt32LE(12)
  for (const follower of followers) {
    while (follower.records < expected) {
      await follower.wake()
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    if (follower.records !== expected) throw new Error(`${follower.records} records in place of ${expected}`)
  }
  await opened.close()
  return {
    groups: count,
    'MB/s': Math.round(written / 1e6 / elapsed),
    'CPU, cores': Number(((used.user + used.system) / 1e6 / elapsed).toFixed(3)),
    'RSS, most, MiB': Math.round(rssMax / 2 ** 20),
  }
}

const one = await run(1)
const many = await run(Number(flags.groups))
console.table([one, many])
console.log(
  `CPU of ${many.groups} groups in place of one: ${(many['CPU, cores'] / one['CPU, cores']).toFixed(2)} times`,
)
process.exit(0)
