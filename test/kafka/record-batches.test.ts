import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { fetchedPartitions } from '../../src/kafka/fetched-partitions.js'
import { decodeBatches } from '../../src/kafka/record-batches.js'
import { crc32c } from '../../src/runtime/crc32c.js'

const varint = (value: number): Buffer => {
  let rest = BigInt(value) * 2n ** 1n
  if (value < 0) rest = -rest - 1n
  const bytes: number[] = []
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}

const field = (bytes: Buffer | null): Buffer => Buffer.concat(bytes ? [varint(bytes.length), bytes] : [varint(-1)])

interface Batch {
  readonly offset: number
  readonly values: readonly (string | null)[]
  readonly producer?: number
  readonly attributes?: number
  readonly key?: Buffer
  /** Offsets of the batch beside its records: what compaction took. */
  readonly last?: number
  readonly timeDelta?: number
}

/** A batch as a broker sends it; packed where its attributes say gzip. */
function batch({ offset, values, producer = -1, attributes = 0, key, last, timeDelta = 0 }: Batch): Buffer {
  const records = values.map((value, i) => {
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(timeDelta),
      varint(i),
      field(key ?? null),
      field(value === null ? null : Buffer.from(value)),
      varint(0),
    ])
    return Buffer.concat([varint(body.length), body])
  })
  const body = Buffer.concat(records)
  const bytes = Buffer.concat([Buffer.alloc(61), (attributes & gzip) === gzip ? gzipSync(body) : body])
  bytes.writeBigInt64BE(BigInt(offset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes[16] = 2
  bytes.writeInt16BE(attributes, 21)
  bytes.writeInt32BE(last === undefined ? values.length - 1 : last - offset, 23)
  bytes.writeBigInt64BE(1_700_000_000_000n, 27)
  bytes.writeBigInt64BE(1_800_000_000_000n, 35)
  bytes.writeBigInt64BE(BigInt(producer), 43)
  bytes.writeInt32BE(values.length, 57)
  bytes.writeUInt32BE(crc32c(bytes, 21), 17)
  return bytes
}

const gzip = 0x01
const transactional = 0x10
const marker = (offset: number, producer: number, isCommit: boolean): Buffer =>
  batch({
    offset,
    values: ['end'],
    producer,
    attributes: transactional | 0x20,
    key: Buffer.from([0, 0, 0, isCommit ? 1 : 0]),
  })

const decode = (batches: readonly Buffer[], from = 0, aborted: { producer: bigint; firstOffset: number }[] = []) => {
  const of = { topic: 't', partition: 3, from, aborted, bytesMax: 1_000_000 }
  const { records, bytes: _, ...rest } = decodeBatches(Buffer.concat(batches), of)
  return {
    ...rest,
    values: records.map(({ value }) => value && String(value)),
    offsets: records.map(({ offset }) => offset),
  }
}

test('CRC-32C is that of the standard', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
})

describe('record batches', () => {
  test('stand behind gaps, markers and empty batches', () => {
    const batches = [
      batch({ offset: 0, values: ['a', null], last: 4 }),
      batch({ offset: 5, values: [], last: 9 }),
      batch({ offset: 10, values: ['b'], producer: 7, attributes: transactional }),
      marker(11, 7, true),
    ]
    expect(decode(batches)).toEqual({ values: ['a', null, 'b'], offsets: [0, 1, 10], next: 12, isCut: false })
    expect(decode(batches, 1)).toEqual({ values: [null, 'b'], offsets: [1, 10], next: 12, isCut: false })
  })

  test('of aborted transactions are left out, of one producer up to its marker', () => {
    const batches = [
      batch({ offset: 0, values: ['of 7'], producer: 7, attributes: transactional }),
      batch({ offset: 1, values: ['of 8'], producer: 8, attributes: transactional }),
      batch({ offset: 2, values: ['plain'], producer: 7 }),
      marker(3, 7, false),
      batch({ offset: 4, values: ['of 7 again'], producer: 7, attributes: transactional }),
      marker(5, 8, true),
      marker(6, 7, true),
    ]
    const aborted = [{ producer: 7n, firstOffset: 0 }]
    expect(decode(batches, 0, aborted)).toMatchObject({ values: ['of 8', 'plain', 'of 7 again'], next: 7 })
  })

  test('of aborted transactions are left out in whatever order they were aborted', () => {
    const batches = [
      batch({ offset: 0, values: ['of 7'], producer: 7, attributes: transactional }),
      batch({ offset: 1, values: ['of 8'], producer: 8, attributes: transactional }),
      marker(2, 8, false),
      marker(3, 7, false),
      batch({ offset: 4, values: ['of 7 again'], producer: 7, attributes: transactional }),
    ]
    // As a broker sends them: in the order of their markers.
    const aborted = [
      { producer: 8n, firstOffset: 1 },
      { producer: 7n, firstOffset: 0 },
    ]
    expect(decode(batches, 0, aborted)).toMatchObject({ values: ['of 7 again'], next: 5 })
  })

  test('that are cut off come again', () => {
    const whole = batch({ offset: 0, values: ['a'] })
    const cut = batch({ offset: 1, values: ['b'] }).subarray(0, 65)
    expect(decode([whole, cut])).toMatchObject({ values: ['a'], next: 1, isCut: false })
    expect(decode([cut], 1)).toMatchObject({ values: [], next: 1, isCut: true })
    expect(decode([])).toMatchObject({ values: [], next: 0, isCut: false })
  })

  test('have the time of the producer or of the broker', () => {
    const of = (attributes: number, timeDelta: number) =>
      decodeBatches(batch({ offset: 0, values: ['a'], attributes, timeDelta }), {
        topic: 't',
        partition: 0,
        from: 0,
        aborted: [],
        bytesMax: 1,
      }).records[0]?.timestamp
    expect(of(0, 5)).toBe(1_700_000_000_005)
    expect(of(0, -100_000)).toBe(1_699_999_900_000)
    expect(of(0, 2 ** 40)).toBe(1_700_000_000_000 + 2 ** 40)
    expect(of(0x08, 5)).toBe(1_800_000_000_000)
  })

  test('of which any bit was changed are refused, or are what they were', () => {
    const bytes = batch({ offset: 2, values: ['some text', 'more'] })
    for (let bit = 21 * 8; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => decode([damaged], 2), `bit ${bit}`).toThrow(
        expect.objectContaining({
          code: 'KAFKA_REFUSED',
          details: { topic: 't', partition: 3, offset: 2, kafka: 'CORRUPT_MESSAGE' },
        }),
      )
    }
  })

  test('that are whole are given before one that is not, which is refused when it is the first', () => {
    const whole = batch({ offset: 0, values: ['a', 'b'] })
    const checksum = batch({ offset: 5, values: ['c'] })
    checksum[65]! ^= 1
    // Its checksum is right, and one of its records is not.
    const within = batch({ offset: 5, values: ['c', 'd'] })
    within[within.length - 3]! = 0x7e
    within.writeUInt32BE(crc32c(within, 21), 17)
    const old = batch({ offset: 5, values: ['c'] })
    old[16] = 1
    for (const damaged of [checksum, within, old]) {
      expect(decode([whole, damaged])).toEqual({ values: ['a', 'b'], offsets: [0, 1], next: 2, isCut: false })
      expect(() => decode([damaged], 2)).toThrow(expect.objectContaining({ code: 'KAFKA_REFUSED' }))
      // Asked for from within the one before: nothing new of it is given.
      expect(() => decode([whole, damaged], 3)).toThrow(expect.objectContaining({ code: 'KAFKA_REFUSED' }))
    }
  })

  test('whose lengths lead beyond them are refused even when the checksum is right', () => {
    const bytes = batch({ offset: 0, values: ['a'] })
    bytes[61] = 0x7e
    bytes.writeUInt32BE(crc32c(bytes, 21), 17)
    expect(() => decode([bytes])).toThrow(/damaged/)
  })

  test('of an older format are refused', () => {
    const bytes = batch({ offset: 0, values: ['a'] })
    bytes[16] = 1
    expect(() => decode([bytes])).toThrow(/message format before version 2/)
  })

  test('are unpacked up to a bound, over all partitions of an answer; the rest comes again', () => {
    const text = 'x'.repeat(50_000)
    const partitionOf = (partition: number) => ({
      partition,
      errorCode: 0,
      lastStableOffset: 20,
      aborted: [],
      batches: Buffer.concat(
        Array.from({ length: 20 }, (_, offset) => batch({ offset, values: [text], attributes: gzip })),
      ),
    })
    const bounds = { bytesMax: 50_000 }
    const from = new Map([
      [0, 0],
      [1, 0],
      [2, 7],
    ])
    const fetched = fetchedPartitions('t', [0, 1, 2].map(partitionOf), from, bounds, String)
    expect(fetched.map(({ next }) => next)).toEqual([4, 0, 7])
    expect(fetched.map(({ records }) => records.map(({ offset }) => offset))).toEqual([[0, 1, 2, 3], [], []])
    const again = fetchedPartitions('t', [1, 2, 0].map(partitionOf), from, { bytesMax: 1 }, String)
    // One batch at least, or nothing would ever move.
    expect(again.map(({ next }) => next)).toEqual([1, 7, 0])
  })
})
