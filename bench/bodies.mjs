// Stored forms of a record's body: nanoseconds of CPU an event of the Nexmark-like workload, one thread, the least of many
// rounds: `npm run bench -- bodies [--events 50000]`. What is read is counted and summed in a Map, as a query would.
import { parseArgs } from 'node:util'
import { Packr, Unpackr } from 'msgpackr'
import { BatchBuilder, BodyReader, RowEncoder, rowBytes } from '../dist/log/bodies.js'
import { ChunkCursor, chunkHeaderBytes, stampBatch } from '../dist/log/index.js'
import { recordSource, recordValue } from '../dist/operators/records.js'
import { bidType, eventOf } from './nexmark/events.mjs'

const { values: flags } = parseArgs({
  options: { events: { type: 'string', default: '50000' }, rounds: { type: 'string', default: '15' } },
})
const count = Number(flags.events)
const rounds = Number(flags.rounds)
const chunkRecords = 1000
const events = Array.from({ length: count }, (_, n) => eventOf(n))

/** Calls `run` over and over; nanoseconds an event of the best round, all threads of this process. */
function least(run) {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const began = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(began)
    best = Math.min(best, ((user + system) * 1000) / count)
  }
  return Math.round(best)
}

/** As a query of few fields reads a bid. */
const sums = new Map()
function few(event) {
  if (event.type === bidType) sums.set(event.bidder, (sums.get(event.bidder) ?? 0) + event.price)
}

/** Every field, as whoever keeps the event has it. */
let kept
function all(event) {
  kept = event
}

const chunks = []
for (let from = 0; from < count; from += chunkRecords) chunks.push(events.slice(from, from + chunkRecords))

const forms = {}
const target = Buffer.alloc(16 << 20)

{
  const bodies = events.map((event) => Buffer.from(JSON.stringify(event)))
  forms.JSON = {
    bytes: bodies.reduce((sum, body) => sum + body.length, 0) / count,
    encode: least(() => events.forEach((event) => target.utf8Write(JSON.stringify(event), 0))),
    few: least(() => bodies.forEach((body) => few(JSON.parse(body.utf8Slice(0, body.length))))),
    all: least(() => bodies.forEach((body) => all(JSON.parse(body.utf8Slice(0, body.length))))),
  }
}

function packedForm(packr, unpackr) {
  const bodies = events.map((event) => Uint8Array.from(packr.pack(event)))
  return {
    bytes: bodies.reduce((sum, body) => sum + body.length, 0) / count,
    encode: least(() => events.forEach((event) => packr.pack(event))),
    few: least(() => bodies.forEach((body) => few(unpackr.unpack(body)))),
    all: least(() => bodies.forEach((body) => all(unpackr.unpack(body)))),
  }
}
const maps = new Packr({ useRecords: false })
forms['MessagePack maps'] = packedForm(maps, maps)
const structures = []
forms['MessagePack, shared structures'] = packedForm(
  new Packr({ structures, maxSharedStructures: 32 }),
  new Unpackr({ structures }),
)

{
  const packr = new Packr({ useRecords: true })
  const packs = chunks.map((chunk) => Uint8Array.from(packr.pack(chunk)))
  forms['MessagePack, a chunk at once'] = {
    bytes: packs.reduce((sum, pack) => sum + pack.length, 0) / count,
    encode: least(() => chunks.forEach((chunk) => packr.pack(chunk))),
    few: least(() => packs.forEach((pack) => packr.unpack(pack).forEach(few))),
    all: least(() => packs.forEach((pack) => packr.unpack(pack).forEach(all))),
  }
}

{
  const rows = new RowEncoder()
  const build = (chunk) => {
    const builder = new BatchBuilder(rows)
    for (const value of chunk) builder.add({ key: 'k', value }, 0)
    return builder
  }
  const builders = chunks.map(build)
  const bodies = new BodyReader()
  bodies.learn([...new Map(builders.flatMap(({ shapes }) => shapes).map((shape) => [shape.id, shape])).values()])
  const stored = builders.map((builder) => {
    const batch = builder.build()
    stampBatch(batch, 0, 1, 0)
    return Buffer.concat([Buffer.alloc(chunkHeaderBytes), batch])
  })
  const walk = (use) => () => {
    for (const chunk of stored) {
      const bytes = rowBytes(chunk)
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) use(bodies.row(bytes, cursor.shape, cursor.bodyStart, cursor.bodyEnd))
    }
  }
  const records = (use) => () => {
    for (const chunk of stored) {
      const source = recordSource(chunk, bodies)
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) use(recordValue(cursor, source))
    }
  }
  const header = 32 + 1
  const form = {
    bytes: stored.reduce((sum, chunk) => sum + chunk.length, 0) / count - header,
    encode: least(() => chunks.forEach(build)),
    few: least(walk(few)),
    all: least(walk((row) => all(row.toJSON()))),
  }
  forms['row, with key, hash and header'] = form
  forms['row, as a record of a pipeline'] = {
    few: least(records((record) => few(record.value))),
    all: least(records((record) => all(record.value.toJSON()))),
  }
  let times = 0
  forms['a record of which only the time is read'] = {
    few: least(
      records((record) => {
        times += record.time
      }),
    ),
  }
  let visits = 0
  forms['nothing but the walk over the headers'] = {
    few: least(() => {
      for (const chunk of stored) {
        const cursor = new ChunkCursor(chunk)
        while (cursor.next()) visits++
      }
    }),
  }
  if (times < 0 || visits === 0) throw new Error('nothing was measured')
}
for (const form of Object.values(forms)) if (form.bytes) form.bytes = Math.round(form.bytes)
console.table(forms)
if (sums.size === 0 || kept === undefined) throw new Error('nothing was measured')
