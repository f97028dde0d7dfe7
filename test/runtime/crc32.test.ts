import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32, nativeChecksums } from '../../src/runtime/index.js'

test('a checksum is that of zlib, of few bytes and of many, alone and behind others', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096, size: 'max' }), fc.nat(4096), (bytes, at) => {
      expect(crc32(bytes)).toBe(zlibCrc32(bytes))
      expect(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at)))).toBe(zlibCrc32(bytes))
    }),
    { numRuns: 300 },
  )
})

test('there is a prebuilt module on the platforms that the tests run on', () => {
  expect(nativeChecksums()?.crc32(Buffer.from('abc'))).toBe(0x352441c2)
})
