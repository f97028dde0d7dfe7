import { describe, expect, test } from 'vitest'
import { murmur2, partitionOf } from '../../src/kafka/index.js'

describe('murmur2', () => {
  // The cases of Kafka's own UtilsTest.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
  })

  test('a negative hash has a partition too', () => {
    expect(partitionOf(Buffer.from('21'), 7)).toBe((-973932308 & 0x7fffffff) % 7)
    expect(partitionOf(Buffer.alloc(0), 1)).toBe(0)
  })
})
