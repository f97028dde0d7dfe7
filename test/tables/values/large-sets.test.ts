import { expect, test } from 'vitest'
import { checkItem, itemBytesMax } from '../../../src/tables/values/index.js'

const members = (count: number): string[] => Array.from({ length: count }, (_, i) => String((i * 7919) % 1_500_007))

test('a set that fits into no item and no request is not sorted, and has its size', () => {
  const many = members(600_000)
  for (const [type, set] of [
    ['NS', many],
    ['SS', many],
    ['BS', many.map((member) => Buffer.from(member).toString('base64'))],
  ] as const) {
    const { item, size } = checkItem({ a: { [type]: set } })
    expect(size).toBeGreaterThan(2 * 1024 * 1024)
    expect((item.a as unknown as Record<string, string[]>)[type]?.slice(0, 3)).toEqual(set.slice(0, 3))
  }
})

test('a set that an item may have is in order, by bytes and by value', () => {
  const some = members(60_000)
  const sorted = (type: string, set: readonly string[]) => {
    const { item, size } = checkItem({ a: { [type]: set } })
    expect(size).toBeLessThan(2 * itemBytesMax)
    return (item.a as unknown as Record<string, string[]>)[type]
  }
  expect(sorted('NS', some)).toEqual(some.toSorted((a, b) => Number(a) - Number(b)))
  expect(sorted('SS', some)).toEqual(some.toSorted((a, b) => (a < b ? -1 : 1)))
  const binaries = some.map((member) => Buffer.from(member))
  const ordered = binaries.toSorted(Buffer.compare).map((bytes) => bytes.toString('base64'))
  expect(
    sorted(
      'BS',
      binaries.map((bytes) => bytes.toString('base64')),
    ),
  ).toEqual(ordered)
  // UTF-8 puts U+FFFD before U+1F600; UTF-16 does not.
  expect(sorted('SS', ['\u{1f600}', '\ufffd', 'a'])).toEqual(['a', '\ufffd', '\u{1f600}'])
})
