import { afterEach, expect, test, vi } from 'vitest'
import { lz4Frame } from '../../src/kafka/lz4.js'

afterEach(() => {
  vi.restoreAllMocks()
})

/** A frame of independent blocks of up to 4 MiB, each of one byte. */
function frameOf(text: string): Buffer {
  const blocks = [...text].map((letter) => Buffer.from([2, 0, 0, 0, 0x10, letter.charCodeAt(0)]))
  return Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0]), ...blocks, Buffer.alloc(4)])
}

test('small blocks of a frame do not hold a largest block each', () => {
  const text = 'many small blocks'
  const allocate = vi.spyOn(Buffer, 'allocUnsafe')
  expect(lz4Frame(frameOf(text), 1_000).toString()).toBe(text)
  const bytes = allocate.mock.calls.reduce((sum, [size]) => sum + size, 0)
  expect(bytes).toBeLessThan(8 * 1024 * 1024)
})

test('a frame is refused when it unpacks to more than it may', () => {
  expect(() => lz4Frame(frameOf('abcd'), 3)).toThrow(RangeError)
})
