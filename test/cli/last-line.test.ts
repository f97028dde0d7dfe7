import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LastLine } from '../../src/cli/last-line.js'

const lines = fc.array(
  fc.string({ maxLength: 5 }).map((text) => `${text.replaceAll('\n', ' ')}\n`),
  { minLength: 1 },
)

test('the last line is held back, in whatever pieces it comes, and all before it is given at once', () => {
  fc.assert(
    fc.property(lines, fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1 }), (texts, sizes) => {
      const bytes = Buffer.from(texts.join(''))
      const last = new LastLine()
      const before: Buffer[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + (sizes[i % sizes.length] as number)
        before.push(last.push(bytes.subarray(at, end)))
        at = end
      }
      expect(last.line.toString()).toBe(texts.at(-1))
      expect(Buffer.concat(before).toString()).toBe(texts.slice(0, -1).join(''))
    }),
  )
})
