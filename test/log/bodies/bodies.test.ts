import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonMember } from '../../../src/log/bodies/plain-data.js'
import {
  BatchBuilder,
  BodyReader,
  encodeShapes,
  parseShape,
  RowEncoder,
  rowBytes,
  type Shape,
  type StoredBody,
  shapesMax,
  splitShapes,
  withoutRows,
} from '../../../src/log/bodies.js'
import { Codec, checkBatch, recordsOfBatch, ShapeStore, type StreamId, stampProducer } from '../../../src/log/index.js'
import { kept } from '../../../src/operators/kept.js'

const producer = { producer: 1, number: 1, epoch: 1 }

/** A batch of these values, as rows where they make some, and a reader that knows their shapes. */
function stored(values: readonly unknown[], rows = new RowEncoder()) {
  const builder = new BatchBuilder(rows)
  for (const value of values) builder.add({ key: 'k', value }, 0)
  const batch = builder.build()
  stampProducer(batch, producer)
  expect(checkBatch(batch)).toBe(values.length)
  const bodies = new BodyReader()
  bodies.learn(builder.shapes)
  return { batch, bodies, shapes: builder.shapes, records: recordsOfBatch(batch) as unknown as StoredBody[] }
}

const codecsOf = (records: readonly StoredBody[]) => records.map(({ codec }) => codec)

/** The view of a row that lies at an odd place of a larger buffer. */
function viewOf({ body, shape }: StoredBody, bodies: BodyReader, before = 3) {
  const bytes = Buffer.concat([Buffer.alloc(before, 255), body, Buffer.alloc(5, 255)])
  return { bytes, view: bodies.row(rowBytes(bytes), shape, before, before + body.length) as Record<string, unknown> }
}

const bid = { auction: 1007, bidder: 1001, price: 99.5, channel: 'Google', url: 'https://a.example/é', extra: '' }

describe('bodies', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constantFrom('', 'é', '\u{1f600}', '\ud800'))
  const number = fc.oneof(
    fc.double().map((each) => each + 0),
    fc.integer(),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53),
  )
  const value = fc.oneof(number, text, fc.boolean(), fc.constant(null), fc.constant(undefined))
  const nested = fc.oneof(value, fc.array(number), fc.dictionary(fc.string(), value), fc.bigInt(), fc.uint8Array())
  const object = fc.dictionary(
    fc.oneof(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toJSON', '7'), fc.string()),
    nested,
  )

  it('give back what was put in', () => {
    fc.assert(
      fc.property(fc.array(object, { minLength: 1, maxLength: 8 }), (values) => {
        const { records, bodies } = stored(values)
        for (const [i, record] of records.entries()) {
          const read = bodies.value(record)
          if (record.codec === Codec.json) expect(JSON.stringify(read)).toBe(JSON.stringify(values[i], jsonMember))
          else expect(read).toEqual(plain(values[i]))
        }
      }),
    )
  })

  it('rows are read field by field as they are read as a whole, wherever they lie', () => {
    fc.assert(
      fc.property(object, fc.nat(9), (value, before) => {
        const { records, bodies } = stored([value])
        fc.pre(records[0]!.codec === Codec.row)
        const { view } = viewOf(records[0]!, bodies, before)
        for (const name of Object.keys(value)) expect(view[name]).toEqual(plain(value[name]))
        expect(kept(view)).toEqual(plain(value))
      }),
    )
  })

  it('are rows for plain objects, MessagePack for what makes none, JSON for what only JSON keeps', () => {
    const { records } = stored([
      bid,
      [1, 2],
      'text',
      null,
      new Date(0),
      {},
      JSON.parse('{"__proto__":1}'),
      { a: '\ud800' },
    ])
    const { row, msgpack, json } = Codec
    expect(codecsOf(records)).toEqual([row, msgpack, msgpack, msgpack, msgpack, msgpack, json, json])
  })

  it('are what JSON makes of values of classes, with bigints and bytes beside', () => {
    class Point {
      x = 1
    }
    const values = [
      {
        at: new Date(0),
        point: new Point(),
        tags: new Set(['a']),
        by: new Map([['k', 1]]),
        no: () => {},
        big: 2n ** 70n,
      },
      { bytes: new Uint8Array([1, 2]), list: [undefined, 3n, { deep: new Uint8Array([9]) }] },
    ]
    const { records, bodies } = stored(values)
    expect(records.map((record) => bodies.value(record))).toEqual([
      { at: '1970-01-01T00:00:00.000Z', point: { x: 1 }, tags: ['a'], by: { k: 1 }, big: 2n ** 70n },
      { bytes: new Uint8Array([1, 2]), list: [null, 3n, { deep: new Uint8Array([9]) }] },
    ])
    expect(records.map((record) => bodies.shown(record, 100))).toEqual([
      { at: '1970-01-01T00:00:00.000Z', point: { x: 1 }, tags: ['a'], by: { k: 1 }, big: String(2n ** 70n) },
      { bytes: 'AQI=', list: [null, '3', { deep: 'CQ==' }] },
    ])
  })

  it('fields whose values come in several types take one shape more, not one for each mixture', () => {
    const { shapes } = stored([
      { a: 1, b: 'x' },
      { a: null, b: 'x' },
      { a: 'y', b: undefined },
      { a: 2, b: 'x' },
    ])
    expect(shapes.map(({ fields }) => fields.map(([, type]) => type))).toEqual([
      ['number', 'string'],
      ['any', 'string'],
      ['any', 'any'],
    ])
  })

  it('make no more shapes than a stream may have: what comes then is MessagePack', () => {
    const values = Array.from({ length: shapesMax + 10 }, (_, i) => ({ [`field ${i}`]: i }))
    const { shapes, records, bodies } = stored(values)
    expect(shapes).toHaveLength(shapesMax)
    expect(records.filter(({ codec }) => codec === Codec.msgpack)).toHaveLength(10)
    expect(records.map((record) => bodies.value(record))).toEqual(values)
  })

  it('nothing of a field name runs as code, whatever it is', () => {
    const names = [
      "']; throw 1; //",
      '"',
      ['`$', '{process.exit(1)}`'].join(''),
      '\u2028',
      '\\',
      '*/',
      'this',
      'place',
      'view',
      'then',
    ]
    const value = Object.fromEntries(names.map((name, i) => [name, i % 2 ? `text ${i}` : i]))
    const { records, bodies } = stored([value])
    expect(records[0]!.codec).toBe(Codec.row)
    expect(bodies.value(records[0]!)).toEqual(value)
  })
})

describe('a view of a row', () => {
  it('gives its fields back to a copy that leaves the step, and refuses one with a field of its own', () => {
    const { records, bodies } = stored([bid])
    const { view } = viewOf(records[0]!, bodies)
    expect(kept({ ...view, tax: 3 })).toEqual({ ...bid, tax: 3 })
    expect(kept(Object.assign({ tax: 3 }, view))).toEqual({ ...bid, tax: 3 })
    expect(() => kept({ ...view, price: 3 })).toThrow(/field price of its own.*plain/)
    expect(JSON.stringify(view)).toBe(JSON.stringify(bid))
    const names: string[] = []
    for (const name in view) names.push(name)
    expect(names.sort()).toEqual(Object.keys(bid).sort())
  })

  it('throws when its bytes have gone', () => {
    const { records, bodies } = stored([
      { ...bid, any: null },
      { ...bid, any: 5 },
    ])
    const { body, shape } = records[1]!
    const buffer = new ArrayBuffer(body.length)
    const bytes = Buffer.from(buffer)
    body.copy(bytes)
    const view = bodies.row(rowBytes(bytes), shape, 0, body.length) as Record<string, unknown>
    expect(view.price).toBe(99.5)
    structuredClone(buffer, { transfer: [buffer] })
    for (const name of ['price', 'channel', 'any']) expect(() => view[name]).toThrow(/valid only until/)
    expect(() => kept(view)).toThrow(/valid only until/)
  })
})

describe('bytes that are no row', () => {
  it('are never read past their end, and do not keep readers from what follows', () => {
    const { records, bodies } = stored([
      { ...bid, any: 'x', more: [1n] },
      { ...bid, any: 5, more: null },
    ])
    for (const record of records) {
      for (let length = 0; length < record.body.length; length++) {
        const cut = { ...record, body: record.body.subarray(0, length) }
        expect(bodies.shown(cut, 100)).toBeUndefined()
      }
      for (let at = 0; at < record.body.length; at++) {
        const body = Buffer.from(record.body)
        body[at] = body[at]! ^ 0xff
        bodies.shown({ ...record, body }, 100)
      }
    }
    expect(bodies.shown({ ...records[0]!, shape: 12345 }, 100)).toBeUndefined()
    expect(() => bodies.row(rowBytes(Buffer.alloc(8)), records[0]!.shape, 0, 8)).toThrow(/cannot be read/)
    expect(bodies.shown({ codec: Codec.msgpack, shape: 0, body: Buffer.from([0xdc]) }, 100)).toBeUndefined()
  })
})

describe('shapes', () => {
  const shape = (fields: unknown): Shape => parseShape(fields)

  it('go in front of a batch and come back', () => {
    const { batch, shapes } = stored([bid, { other: true }])
    expect(splitShapes(Buffer.concat([encodeShapes(shapes), batch]))).toEqual({ shapes, batch })
    expect(splitShapes(batch)).toEqual({ shapes: [], batch })
  })

  it('are refused when they are damaged, or are none', () => {
    const frame = encodeShapes(stored([bid]).shapes)
    for (let at = 4; at < frame.length; at++) {
      const changed = Buffer.from(frame)
      changed[at] = changed[at]! ^ 1
      expect(() => splitShapes(changed), `byte ${at}`).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }))
    }
    const wrong = [
      null,
      [],
      [['a']],
      [['a', 'date']],
      [[1, 'number']],
      [['__proto__', 'number']],
      [['toJSON', 'any']],
      [['\ud800', 'any']],
      Array.from({ length: 2 }, () => ['a', 'any']),
      Array.from({ length: 129 }, (_, i) => [`${i}`, 'any']),
      [['x'.repeat(9000), 'any']],
    ]
    for (const fields of wrong) expect(() => shape(fields)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }))
  })

  it('that a stream does not take leave their rows as MessagePack, the others as they are', () => {
    const values = [bid, { other: 1 }, { other: 2 }, [7]]
    const { batch, shapes, bodies } = stored(values)
    const records = recordsOfBatch(withoutRows(batch, shapes, [shapes[0]!])) as unknown as StoredBody[]
    expect(codecsOf(records)).toEqual([Codec.row, Codec.msgpack, Codec.msgpack, Codec.msgpack])
    expect(records.map((record) => bodies.value(record))).toEqual(values)
  })
})

/** What must come back: undefined members are left out, as in JSON. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => (each === undefined ? null : plain(each)))
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([name, each]) => [name, plain(each)]),
  )
}

it('a row, its shape and its key are the vector of docs/formats.md', () => {
  const [shape, row, body] = /```row\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.trim().split('\n')
  const { records, shapes } = stored([{ price: 1.5, name: 'é', more: null, note: 'ab' }])
  expect(shapes[0]!.text).toBe(shape)
  expect(records[0]!.body.toString('hex')).toBe(body!.replaceAll(' ', ''))
  const store = new ShapeStore({ stream: () => ({}) as never })
  const [made] = store.inCommit(7 as StreamId, shapes).atPack!({ commit: 1, time: 1, takeSequence: () => 1 as never })
  const [key, value, text] = row!.split(/ {2}| (?=\[)/)
  expect(made!.key.toString('hex')).toBe(key!.replaceAll(' ', ''))
  expect(made!.value!.toString('hex', 0, 5)).toBe(value!.replaceAll(' ', ''))
  expect(made!.value!.toString('utf8', 5)).toBe(text)
})

describe('the shapes of streams', () => {
  const [one, two, three] = stored([{ a: 1 }, { b: 1 }, { c: 1 }]).shapes as [Shape, Shape, Shape]
  const first = 1 as StreamId
  const other = 2 as StreamId
  const context = { commit: 1, time: 1, takeSequence: () => 1 as never }

  it('are stored once, numbered in the order in which they came, and show when their commit has returned', () => {
    const gone = new Set<StreamId>()
    const store = new ShapeStore({ stream: (id) => (gone.has(id) ? undefined : ({} as never)) })
    const sets = [
      store.inCommit(first, [one, two]),
      store.inCommit(first, [two, three]),
      store.inCommit(other, [three]),
    ]
    const rows = sets.map(({ atPack }) => atPack!(context))
    expect(rows.map((each) => each.length)).toEqual([2, 1, 1])
    expect(store.of(first)).toEqual([])
    expect(store.has(first, two.id)).toBe(true)
    expect(store.inCommit(first, [one, three])).toEqual({})
    store.show()
    expect(store.of(first)).toEqual([one, two, three])
    expect(store.of(other)).toEqual([three])
    gone.add(other)
    expect(store.inCommit(other, [one]).atPack!(context)).toEqual([])

    const opened = new ShapeStore({ stream: () => ({}) as never })
    opened.load(rows.flat().reverse() as { key: Buffer; value: Buffer }[])
    expect(opened.of(first)).toEqual([one, two, three])
    opened.forget(first)
    expect(opened.of(first)).toEqual([])
  })

  it('refuse another one of the same id, and more than there may be', () => {
    const store = new ShapeStore({ stream: () => ({}) as never })
    store.inCommit(first, [one]).atPack!(context)
    expect(store.refusal(first, [one, two])).toBeUndefined()
    expect(store.refusal(first, [{ ...two, id: one.id }])?.code).toBe('SHAPES_FULL')
    const { shapes } = stored(Array.from({ length: shapesMax }, (_, i) => ({ [`f${i}`]: 1 })))
    expect(store.refusal(first, shapes)?.code).toBe('SHAPES_FULL')
    expect(store.refusal(first, shapes.slice(1))).toBeUndefined()
  })
})
