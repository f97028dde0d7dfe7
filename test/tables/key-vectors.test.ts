import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { type AttributeValue, decodeKeyValue, encodeKeyValue } from '../../src/tables/values/index.js'

it('key values have the bytes that docs/formats.md shows', () => {
  const lines = /```keys\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.trim().split('\n')
  expect(lines.length).toBeGreaterThan(5)
  for (const line of lines) {
    const [, json, hex] = /^(\{.*\})\s+([0-9a-f ]+)$/.exec(line)!
    const value = JSON.parse(json!) as AttributeValue
    const bytes = Buffer.from(hex!.replace(/ /g, ''), 'hex')
    expect([line, encodeKeyValue(value).toString('hex')]).toEqual([line, bytes.toString('hex')])
    expect(decodeKeyValue(bytes, 0)).toEqual({ value, next: bytes.length })
  }
})
