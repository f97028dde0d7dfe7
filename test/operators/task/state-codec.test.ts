import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { expect, it } from 'vitest'
import { BatchBuilder, BodyReader, RowEncoder, rowBytes } from '../../../src/log/bodies.js'
import { recordsOfBatch } from '../../../src/log/index.js'
import { kept } from '../../../src/operators/kept.js'
import { packable, packState, unpackState } from '../../../src/operators/task/index.js'

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: fc.constantFrom('a', 'é', '\ud83d', '\ude00'), maxLength: 4 }),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', ''),
)
const { value: states } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    texts,
    fc.integer(),
    fc.double(),
    fc.constant(-0),
    fc.bigInt(),
    fc.constantFrom(null, true, false),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 5 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(texts, tie('value')), { maxLength: 4 }).map((members) => Object.fromEntries(members)),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(texts, { maxLength: 4 }).map((members) => new Set(members)),
  ),
}))

it('gives a state back as it was, whatever texts and names are in it', () => {
  fc.assert(
    fc.property(states, (state) => {
      expect(unpackState(packState(packable(state)))).toEqual(state)
      // Between threads the names of members are written once a message.
      const rows = new Packr({ useRecords: true, moreTypes: true, structuredClone: false })
      expect(rows.unpack(rows.pack([packable(state), packable(state)]))).toEqual([state, state])
    }),
    { numRuns: 500 },
  )
})

it('keeps members called __proto__ and texts with half a character', () => {
  const state = { list: [JSON.parse('{"__proto__": {"a": 1}, "b": 2}')], 'cut \ud83d': 'cut \ud83d' }
  const found = unpackState(packState(packable(state))) as typeof state
  expect(Object.keys(found.list[0])).toEqual(['__proto__', 'b'])
  expect(JSON.stringify(found)).toBe(JSON.stringify(state))
})

it('refuses a row within a state, which is kept as plain(row)', () => {
  const builder = new BatchBuilder(new RowEncoder())
  builder.add({ key: 'k', value: { id: '1', n: 5 } }, 0)
  const bodies = new BodyReader()
  bodies.learn(builder.shapes)
  const [{ body, shape }] = recordsOfBatch(builder.build()) as unknown as [{ body: Buffer; shape: number }]
  const row = bodies.row(rowBytes(body), shape, 0, body.length)
  expect(() => packable([row])).toThrow(/holds a row or record that is valid only .* plain\(\.\.\.\)\.$/)
  expect(packable([kept(row)])).toEqual([{ id: '1', n: 5 }])
})
