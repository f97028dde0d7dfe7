// The plain queries over the same rows, in this thread: what decoding and query cost when nothing is durable.
import { BatchBuilder, BodyReader, RowEncoder, rowBytes } from '../../dist/log/bodies.js'
import { ChunkCursor, chunkHeaderBytes, stampBatch } from '../../dist/log/index.js'
import { eventOf } from './events.mjs'
import { plainQueries } from './plain-queries.mjs'

const chunkRecords = 1000
/** Chunks that are made before they are run through: making them is not measured. */
const chunksAtOnce = 50

/** By query: count, checksum and records a second of CPU. */
export function measurePlain(names, total) {
  const rows = new RowEncoder()
  const bodies = new BodyReader()
  const known = new Set()
  const running = names.map((name) => ({ name, query: plainQueries[name](), microseconds: 0 }))
  for (let from = 0; from < total; ) {
    const chunks = []
    for (; chunks.length < chunksAtOnce && from < total; from += chunkRecords) {
      const builder = new BatchBuilder(rows)
      for (let n = from; n < Math.min(total, from + chunkRecords); n++) builder.add({ key: '', value: eventOf(n) }, 0)
      bodies.learn(
        builder.shapes.filter(({ id }) => !known.has(id) && known.add(id)),
        bodies.count,
      )
      const batch = builder.build()
      stampBatch(batch, 0, 1, 0)
      chunks.push(Buffer.concat([Buffer.alloc(chunkHeaderBytes), batch]))
    }
    for (const each of running) {
      const began = process.cpuUsage()
      for (const chunk of chunks) runChunk(chunk, bodies, each.query)
      const { user, system } = process.cpuUsage(began)
      each.microseconds += user + system
    }
  }
  return new Map(
    running.map(({ name, query, microseconds }) => {
      const began = process.cpuUsage()
      const { count, checksum } = query.end()
      const { user, system } = process.cpuUsage(began)
      return [name, { count, checksum, perSecond: (total / (microseconds + user + system)) * 1e6 }]
    }),
  )
}

function runChunk(chunk, bodies, query) {
  const bytes = rowBytes(chunk)
  const cursor = new ChunkCursor(chunk)
  while (cursor.next()) query.on(bodies.row(bytes, cursor.shape, cursor.bodyStart, cursor.bodyEnd))
}
