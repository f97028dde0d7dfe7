import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ChunkCursor,
  Codec,
  checkBatch,
  chunkHeaderBytes,
  chunkIsWhole,
  encodeBatch,
  type NewRecord,
  RecordKind,
  readChunkHeader,
  recordsOfBatch,
  type Sequence,
  sealChunk,
  stampBatch,
} from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { record } from './open-log.js'

const json: NewRecord = { ...record('k', '1', 5), codec: Codec.json }

/** The batch that docs/formats.md shows. */
const vector = /```vector\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.replace(/\s/g, '')

const newRecord = fc
  .record({
    key: fc.uint8Array({ maxLength: 40 }),
    body: fc.uint8Array({ maxLength: 200 }),
    time: fc.integer({ min: 0, max: 2 ** 52 }),
    codec: fc.constantFrom(0, 1),
  })
  .map(
    ({ key, body, time, codec }): NewRecord => ({
      hash: hashKey(key),
      kind: 0,
      flags: 0,
      codec: codec as NewRecord['codec'],
      time,
      key: Buffer.from(key),
      body: Buffer.from(body),
    }),
  )

describe('batches and chunks', () => {
  it('give back what was put in', () => {
    fc.assert(
      fc.property(fc.array(newRecord, { minLength: 1, maxLength: 20 }), (records) => {
        const batch = encodeBatch(records)
        expect(checkBatch(batch)).toBe(records.length)
        const plain = ({ hash, kind, flags, codec, time, key, body }: NewRecord) => ({
          hash,
          kind,
          flags,
          codec,
          time,
          key: key.toString('hex'),
          body: body.toString('hex'),
        })
        expect(recordsOfBatch(batch).map(plain)).toEqual(records.map(plain))
      }),
    )
  })

  it('number records from the first on, over all batches of a chunk', () => {
    const batches = [encodeBatch([json, json]), encodeBatch([json])]
    stampBatch(batches[0]!, 0, 100, 77)
    stampBatch(batches[1]!, 0, 102, 77)
    const chunk = Buffer.concat([Buffer.alloc(chunkHeaderBytes), ...batches])
    const header = {
      commit: 9,
      commitTime: 77,
      previous: 50 as Sequence,
      first: 100 as Sequence,
      last: 102 as Sequence,
      shard: 3,
      batches: 2,
    }
    sealChunk(chunk, header)
    expect(chunkIsWhole(chunk)).toBe(true)
    expect(readChunkHeader(chunk)).toEqual({ ...header, length: chunk.length })
    const cursor = new ChunkCursor(chunk)
    const numbers: number[] = []
    while (cursor.next()) {
      numbers.push(cursor.sequence)
      expect(cursor.commitTime).toBe(77)
    }
    expect(numbers).toEqual([100, 101, 102])
  })

  it('a chunk that was cut is walked neither beyond its end nor for ever', () => {
    const chunk = Buffer.concat([Buffer.alloc(chunkHeaderBytes), encodeBatch([json, json]), encodeBatch([json])])
    for (let length = 0; length < chunk.length; length++) {
      const cursor = new ChunkCursor(chunk.subarray(0, length))
      let count = 0
      const walk = () => {
        while (cursor.next()) count++
      }
      const isBetween = length <= chunkHeaderBytes || length === chunkHeaderBytes + encodeBatch([json, json]).length
      if (isBetween) walk()
      else expect(walk, `${length}`).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }))
      expect(count).toBeLessThan(3)
    }
  })

  it('a batch with any changed byte is refused, and nothing reads past its end', () => {
    const batch = encodeBatch([json, json, json])
    for (let at = 0; at < batch.length; at++) {
      // What the server fills in is not the client's to vouch for.
      if (at >= 48 && at < 64) continue
      for (const bit of [1, 128]) {
        const changed = Buffer.from(batch)
        changed[at] = changed[at]! ^ bit
        expect(() => checkBatch(changed)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }))
      }
    }
    for (let length = 0; length < batch.length; length++) {
      expect(() => checkBatch(batch.subarray(0, length))).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }))
    }
  })

  it('a batch whose checksum is right and whose records are not is refused', () => {
    const key = Buffer.from('k')
    const wrong: Partial<NewRecord>[] = [
      { hash: { ...json.hash, hi: (json.hash.hi ^ 1) >>> 0 } },
      { hash: { ...json.hash, lo: 0 } },
      { key: Buffer.from('another') },
      { kind: RecordKind.insert },
      { flags: 1 },
      { codec: Codec.dynamoJsonChange },
      { codec: 7 as never },
      { time: 2 ** 53 },
    ]
    for (const change of wrong) {
      const batch = encodeBatch([json, { ...json, ...change }])
      expect(() => checkBatch(batch)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }))
    }
    expect(checkBatch(encodeBatch([json, { ...json, key, body: Buffer.from('{'), time: 2 ** 53 - 1 }]))).toBe(2)
  })

  it('is the vector of docs/formats.md', () => {
    expect(encodeBatch([json]).toString('hex')).toBe(vector)
  })
})
