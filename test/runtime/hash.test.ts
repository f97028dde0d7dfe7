import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compareHash, hashKey } from '../../src/runtime/index.js'

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
