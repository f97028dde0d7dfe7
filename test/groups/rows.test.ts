import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeGroup, decodePosition, positionRow } from '../../src/groups/rows.js'
import type { Sequence, ShardId, StreamId } from '../../src/log/index.js'
import { decodeProducer, ofProducerKey, type ProducerRow, producerRow } from '../../src/producers/rows.js'

const hex = (row: { key: Buffer; value: Buffer | undefined }) => row.key.toString('hex') + row.value?.toString('hex')

it('rows of positions and producers are the vectors of docs/formats.md', () => {
  const vectors = /```rows\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.replace(/\s/g, '')
  const position = { shard: 3 as ShardId, next: 1000 as Sequence, ended: true, lease: 7 }
  const placed = [{ shard: 3 as ShardId, firstSequence: 1000 as Sequence, count: 3 }]
  const answer = { commit: 12, count: 3, placed }
  const producer: ProducerRow = { epoch: 2, last: 9, checksum: 0xcafe, usedAt: 1000, answer }
  expect(hex(positionRow(2, position)) + hex(producerRow(1 as StreamId, 5, producer))).toBe(vectors)
})

it('a position of before there were leases has lease 0, and a group is of who its name says', () => {
  const key = Buffer.from('0a0000000200000003', 'hex')
  expect(decodePosition(key, Buffer.from('01010000000000408f40', 'hex'))).toEqual({
    group: 2,
    position: { shard: 3, next: 1000, ended: true, lease: 0 },
  })
  expect(() => decodePosition(key, Buffer.from('03010000000000408f4000000000', 'hex'))).toThrow(
    expect.objectContaining({ code: 'DATA_DIR_NEWER' }),
  )
  const old = (name: string) => Buffer.from(`\x01${JSON.stringify({ id: 1, name, stream: 1, createdAt: 0 })}`)
  expect(decodeGroup(old('pipeline:x'))).toMatchObject({ kind: 'pipeline', hold: true })
  expect(decodeGroup(old('bridge:x'))).toMatchObject({ kind: 'bridge', hold: true })
  expect(decodeGroup(old('x'))).toMatchObject({ kind: 'client', hold: false })
})

it('a producer row gives back what was put in', () => {
  const number = fc.integer({ min: 0, max: 2 ** 53 - 1 })
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
  const placed = fc.record({ shard: u32, firstSequence: number, count: u32 })
  const answer = fc.record({ count: u32, commit: number, placed: fc.array(placed, { maxLength: 300 }) })
  const row = fc.record({
    epoch: u32,
    last: number,
    checksum: u32,
    usedAt: number,
    answer: fc.option(answer, { nil: undefined }),
  })
  fc.assert(
    fc.property(u32, number, row, (stream, producer, value) => {
      const made = producerRow(stream as StreamId, producer, value as ProducerRow)
      expect(ofProducerKey(made.key)).toEqual({ stream, producer })
      expect(decodeProducer(made.value as Buffer)).toEqual(value)
    }),
  )
})
