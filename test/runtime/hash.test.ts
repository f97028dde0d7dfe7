import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  compareHash,
  hashAfter,
  hashBefore,
  hashKey,
  hashMax,
  hashMin,
  hashOfText,
  hashText,
  middleOf,
} from '../../src/runtime/index.js'

const hex = (text: string) => {
  const { hi, lo } = hashKey(Buffer.from(text))
  return hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')
}

it("is MurmurHash3_x86_128: the first two lanes that Python's mmh3 gives", () => {
  const vectors: Record<string, string> = {
    '': '0000000000000000',
    a: 'a794933c5556b01b',
    ab: '158451df25be3010',
    abc: '75cdc6d1a2b006a5',
    abcd: '96b6ccaa45afc62e',
    abcde: 'c5402efb5d24c5bc',
    aaaaaaaaaaaaaaa: '8d8dfa78a5811a33',
    aaaaaaaaaaaaaaaa: 'c2cc4a68c77161e0',
    aaaaaaaaaaaaaaaaa: '792b9acbb7c56e04',
    'The quick brown fox jumps over the lazy dog': '2f1583c3ecee2c67',
    'ünïcödé 流': 'ea29adbaf017e274',
  }
  for (const [text, digest] of Object.entries(vectors)) expect([text, hex(text)]).toEqual([text, digest])
})

it('hashes a part of a buffer as the part alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), fc.nat(60), (bytes, a, b) => {
      const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
      expect(compareHash(hashKey(bytes, start, end), hashKey(bytes.slice(start, end)))).toBe(0)
    }),
  )
})

it('steps to its neighbours, finds the middle of a range, and is written and read as 16 digits', () => {
  const lane = fc.oneof(fc.constantFrom(0, 1, 0xffff_fffe, 0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }))
  const hash = fc.record({ hi: lane, lo: lane })
  const number = ({ hi, lo }: { hi: number; lo: number }) => (BigInt(hi) << 32n) | BigInt(lo)
  fc.assert(
    fc.property(hash, hash, (a, b) => {
      if (compareHash(a, hashMax) < 0) expect(number(hashAfter(a))).toBe(number(a) + 1n)
      if (compareHash(a, hashMin) > 0) expect(number(hashBefore(a))).toBe(number(a) - 1n)
      expect(hashOfText(hashText(a))).toEqual(a)
      const [low, high] = compareHash(a, b) <= 0 ? [a, b] : [b, a]
      expect(number(middleOf(low, high))).toBe(number(low) + (number(high) - number(low) + 1n) / 2n)
    }),
  )
  for (const text of ['', '0', 'g000000000000000', '00000000000000000']) expect(hashOfText(text)).toBeUndefined()
})
