import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ParkedRow, packState } from '../../src/operators/task/index.js'
import { isFailed, ParkedIndex } from '../../src/pipelines/parked-index.js'
import { Suspects } from '../../src/pipelines/suspects.js'
import { MillraceError } from '../../src/runtime/index.js'
import {
  decodeParked,
  decodeParkedKey,
  parkedInput,
  parkedKey,
  parkedValue,
} from '../../src/workers/rows/parked-rows.js'

const start = Buffer.from('1900000003', 'hex')
const row = (value: unknown, more: Partial<ParkedRow> = {}): ParkedRow => ({
  kind: 'row',
  value: packState(value),
  input: 0,
  isKeyed: true,
  time: 1000,
  stamp: Number.NEGATIVE_INFINITY,
  sequence: 7,
  marks: [],
  at: 2000,
  attempts: 0,
  ...more,
})
const keyed = (number: number, key = 'k') => ({
  step: 2,
  hashHi: 0xc54f18b0,
  hashLo: 0x03afee30,
  key: Buffer.from(key),
  number,
})

describe('parked rows', () => {
  it('are as docs/formats.md says', () => {
    const [key, ...value] = /```parked\n([^`]*)```/
      .exec(readFileSync('docs/formats.md', 'utf8'))![1]!
      .trim()
      .split('\n')
    expect(parkedKey(start, keyed(1)).toString('hex')).toBe(key!.replaceAll(' ', ''))
    expect(parkedValue(row(5)).toString('hex')).toBe(value.join(''))
  })

  it('come back from their bytes, and sort by their numbers', () => {
    fc.assert(
      fc.property(
        fc.record({
          step: fc.nat(2 ** 32 - 1),
          hashHi: fc.nat(2 ** 32 - 1),
          hashLo: fc.nat(2 ** 32 - 1),
          key: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
          number: fc.maxSafeNat(),
        }),
        fc.maxSafeNat(),
        // MessagePack gives a member of that name another one, so that it cannot become a prototype.
        fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__')),
        (of, other, value) => {
          const key = parkedKey(start, of)
          expect(decodeParkedKey(key)).toEqual(of)
          const compared = Buffer.compare(key, parkedKey(start, { ...of, number: other }))
          expect(compared).toBe(Math.sign(of.number - other))
          const parked = row(value, { attempts: 3, error: { code: 'C', message: 'm' }, tag: 't', domain: 'event' })
          const found = decodeParked(parkedValue(parked))
          expect({ ...found, value: Buffer.from(found.value) }).toEqual({ ...parked, value: Buffer.from(parked.value) })
          expect(JSON.parse(JSON.stringify(parkedInput(found)))).toEqual(JSON.parse(JSON.stringify(value)))
        },
      ),
    )
  })

  it('are counted in whatever order they come and go', () => {
    const change = fc.record({ key: fc.constantFrom('a', 'ab', 'b'), number: fc.nat(5), goes: fc.boolean() })
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        const index = new ParkedIndex({ parkedMax: 4, parkedBytesMax: 10_000 })
        const model = new Map<string, number>()
        for (const { key, number, goes } of changes) {
          const of = parkedKey(start, keyed(number, key))
          const value = goes ? undefined : parkedValue(row(key))
          index.take(of, value)
          if (value) model.set(`${key} ${number}`, of.length + value.length)
          else model.delete(`${key} ${number}`)
        }
        expect(index.count).toBe(model.size)
        expect(index.bytes).toBe([...model.values()].reduce((sum, bytes) => sum + bytes, 0))
        expect(index.isFull).toBe(model.size >= 4)
        expect(index.queues().length).toBe(new Set([...model.keys()].map((name) => name.split(' ')[0])).size)
      }),
    )
  })

  it('failed by themselves, or wait', () => {
    expect(isFailed(parkedValue(row(1)))).toBe(false)
    expect(isFailed(parkedValue(row(1, { attempts: 1, error: { code: 'C', message: 'm' } })))).toBe(true)
    expect(isFailed(undefined)).toBe(false)
  })
})

describe('records under which runs end', () => {
  const error = new MillraceError('STEP_TIMEOUT', 'loops')
  const at = (
    sequence: number | undefined,
    parkAt?: { place: number | undefined; error: { code: string; message: string } },
  ) => ({
    stack: undefined,
    stage: 1,
    place: { node: 4, sequence, ...(parkAt ? { parkAt } : {}) },
  })

  it('are poison after so many times, each by itself', () => {
    const suspects = new Suspects(2)
    expect(suspects.accuse({ error, ...at(10) })).toBe(true)
    expect(suspects.accuse({ error, ...at(11) })).toBe(true)
    expect(suspects.poison()).toEqual([])
    suspects.accuse({ error, ...at(10) })
    expect(suspects.poison()).toMatchObject([
      { stage: 1, place: 4, sequence: 10, attempts: 2, error: { message: 'loops' } },
    ])
    expect(suspects.until).toBe(11)
    suspects.clear()
    expect(suspects.poison()).toEqual([])
  })

  it('are not known where no record is', () => {
    expect(new Suspects(2).accuse({ error, ...at(undefined) })).toBe(false)
  })

  it('are no poison while another record may be the cause, and are with all their attempts once that is over', () => {
    const suspects = new Suspects(3)
    expect(suspects.recordsMax).toBeUndefined()
    for (const isLast of [false, true]) {
      expect(suspects.narrow()).toBe(true)
      expect(suspects.recordsMax === 1).toBe(isLast)
      suspects.accuse({ error, ...at(10), isCertain: false })
      suspects.accuse({ error, ...at(11), isCertain: false })
    }
    expect(suspects.narrow()).toBe(false)
    expect(suspects.poison()).toEqual([])
    suspects.accuse({ error, ...at(11), isCertain: true })
    expect(suspects.poison()).toMatchObject([{ sequence: 11, attempts: 3 }])
    suspects.clear()
    expect(suspects.recordsMax).toBeUndefined()
  })

  it('are poison at once where what they were made into cannot be stored', () => {
    const suspects = new Suspects(3)
    suspects.accuse({ error, ...at(10, { place: undefined, error: { code: 'C', message: 'why' } }) })
    expect(suspects.poison()).toMatchObject([
      { place: undefined, sequence: 10, attempts: 3, error: { message: 'why' } },
    ])
  })
})
