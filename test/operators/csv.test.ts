import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { csvHeader, csvLine } from '../../src/operators/csv.js'

/** Reads one line as RFC 4180 says, on its own terms: a small automaton, not a split. */
function fields(line: string): string[] {
  const found: string[] = ['']
  let isQuoted = false
  for (let i = 0; i < line.length; i++) {
    const character = line[i]!
    const at = found.length - 1
    if (isQuoted) {
      if (character !== '"') found[at] += character
      else if (line[i + 1] === '"') found[at] += line[++i] as string
      else isQuoted = false
    } else if (character === '"') isQuoted = true
    else if (character === ',') found.push('')
    else found[at] += character
  }
  return found
}

describe('a CSV line', () => {
  it('gives back its texts, whatever is in them', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[",\r\n a]*$/))
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (texts) => {
        const columns = texts.map((_, i) => `c${i}`)
        const result = Object.fromEntries(texts.map((each, i) => [`c${i}`, each]))
        expect(fields(csvLine(result, columns))).toEqual(texts)
        expect(fields(csvHeader(texts))).toEqual(texts)
      }),
    )
  })

  it('writes numbers, binary, dates and objects as texts, and nothing for what is not there', () => {
    const result = { a: 1.5, b: 7n, c: true, d: null, e: new Uint8Array([1, 2]), f: new Date(0), g: { x: 1n }, i: 'z' }
    expect(csvLine(result, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'])).toBe(
      '1.5,7,true,,AQI=,1970-01-01T00:00:00.000Z,"{""x"":""1""}",,z',
    )
  })

  it('is refused for what has no columns', () => {
    for (const bad of [1, 'text', null, undefined, [1]]) expect(() => csvLine(bad, ['a'])).toThrow(TypeError)
    expect(() => csvLine({ a: () => 1 }, ['a'])).toThrow(/column a/)
  })
})
