import { MillraceError } from '../../runtime/errors.js'
import { Codec } from '../types.js'
import { type BodyBuffer, packed } from './body-buffer.js'
import { isWellFormed, jsonMember, plainData, UnfitError } from './plain-data.js'
import {
  type Field,
  type FieldType,
  isFieldName,
  rowFieldsMax,
  type Shape,
  shapeOf,
  shapesMax,
  shapeTextMax,
} from './shape.js'
import { slotBytes, writeAny, writeText } from './slots.js'

/** How a record's body was written. */
export interface WrittenBody {
  readonly codec: Codec
  /** Of a row. */
  readonly shape: Shape | undefined
  /** The stream does not take this shape. */
  isRefused?: boolean
}

/** What a writer says: written, or the values are not of the types that it writes. */
type Write = (value: object, out: BodyBuffer) => boolean

/** Objects with these fields, in this order. */
interface Layout {
  fields: readonly Field[]
  body: WrittenBody
  write: Write
}

/** A node of the tree of field names: objects with the same names in the same order end in the same node. */
class Names {
  /** The name that came last, and where it led: objects of one kind come one after the other. */
  lastName = ''
  last: Names | undefined
  readonly next = new Map<string, Names>()
  /** Null: these fields make no row. */
  layout: Layout | undefined | null
}

/** Nodes of the tree: what has more different names is rather a map, and is stored as MessagePack. */
const namesMax = 8192
const msgpackBody: WrittenBody = { codec: Codec.msgpack, shape: undefined }
const jsonBody: WrittenBody = { codec: Codec.json, shape: undefined }

/** What a user's module has put on Object.prototype comes behind all own members; within `for ... in` the call costs nothing. */
const hasOwn = Object.prototype.hasOwnProperty

/** Writes the values of one stream as rows, and finds their shapes on the way. */
export class RowEncoder {
  readonly #root = new Names()
  #names = 0
  readonly #shapes = new Map<string, WrittenBody>()

  /**
   * Writes a value behind the end of the buffer. Plain objects become rows, what makes no row MessagePack, and what only
   * JSON gives back as it was, JSON. Throws BAD_REQUEST for what is no value, and what JSON.stringify throws.
   */
  write(value: unknown, out: BodyBuffer): WrittenBody {
    const start = out.end
    try {
      return this.#row(value, out) ?? packedBody(value, out)
    } catch (error) {
      if (!(error instanceof UnfitError)) throw error
      out.end = start
      return writeJson(value, out, jsonMember)
    }
  }

  /** The stream does not take these shapes: what would be of them is MessagePack from here on. */
  refuse(shapes: readonly Shape[]): void {
    for (const shape of shapes) {
      const body = this.#shapes.get(shape.text)
      if (body) body.isRefused = true
    }
  }

  #row(value: unknown, out: BodyBuffer): WrittenBody | undefined {
    if (!isPlainObject(value)) return undefined
    let layout = this.#layoutOf(value)
    if (!layout || layout.body.isRefused) return undefined
    if (!layout.write(value, out)) {
      layout = this.#widen(layout, value)
      if (!layout?.write(value, out)) return undefined
    }
    return layout.body
  }

  #layoutOf(value: object): Layout | undefined {
    let node = this.#root
    for (const name in value) {
      if (!hasOwn.call(value, name)) break
      let next = node.lastName === name ? node.last : node.next.get(name)
      if (!next) {
        if (++this.#names > namesMax) return undefined
        next = new Names()
        node.next.set(name, next)
      }
      node.lastName = name
      node.last = next
      node = next
    }
    if (node.layout === undefined) node.layout = this.#make(fieldsOf(value)) ?? null
    return node.layout ?? undefined
  }

  #make(fields: readonly Field[]): Layout | undefined {
    if (fields.length === 0 || fields.length > rowFieldsMax || !fields.every(([name]) => isFieldName(name)))
      return undefined
    const shape = shapeOf(fields)
    if (shape.text.length > shapeTextMax) return undefined
    let body = this.#shapes.get(shape.text)
    if (!body) {
      if (this.#shapes.size >= shapesMax) return undefined
      body = { codec: Codec.row, shape }
      this.#shapes.set(shape.text, body)
    }
    return { fields, body, write: makeWriter(fields) }
  }

  /** Fields whose values have come in several types take any from here on; undefined when that makes no row. */
  #widen(layout: Layout, value: object): Layout | undefined {
    const types = fieldsOf(value)
    const fields = layout.fields.map(([name, type], i): Field => [name, types[i]?.[1] === type ? type : 'any'])
    const wider = this.#make(fields)
    if (!wider) return undefined
    // The node of the tree holds this very object.
    Object.assign(layout, wider)
    return layout
  }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function fieldsOf(value: object): Field[] {
  const fields: Field[] = []
  for (const name of Object.keys(value)) fields.push([name, typeOf((value as Record<string, unknown>)[name])])
  return fields
}

function typeOf(value: unknown): FieldType {
  return typeof value === 'number' ? 'number' : typeof value === 'string' ? 'string' : 'any'
}

function packedBody(value: unknown, out: BodyBuffer): WrittenBody {
  const plain = plainData(value)
  if (plain === undefined) throw new MillraceError('BAD_REQUEST', 'A record has no value; null is one.')
  out.append(packed(plain))
  return msgpackBody
}

export function writeJson(
  value: unknown,
  out: BodyBuffer,
  member?: (this: unknown, name: string, value: unknown) => unknown,
): WrittenBody {
  const text = JSON.stringify(value, member) as string | undefined
  if (text === undefined) throw new MillraceError('BAD_REQUEST', 'A record has no value; null is one.')
  out.appendText(text)
  return jsonBody
}

/**
 * Generated for a list of fields: reads each once, and writes all texts in one go, which costs a third of one by one.
 * Names come in as JSON strings, which are string literals of JavaScript too: nothing of them runs.
 */
function makeWriter(fields: readonly Field[]): Write {
  const reads: string[] = []
  const slots: string[] = []
  const anys: string[] = []
  const texts = fields.flatMap(([, type], i) => (type === 'string' ? [i] : []))
  fields.forEach(([name, type], i) => {
    reads.push(`const f${i} = value[${JSON.stringify(name)}]`)
    if (type !== 'any') reads.push(`if (typeof f${i} !== '${type}') return false`)
    if (type === 'number') slots.push(`view.setFloat64(at + ${i * slotBytes}, f${i}, true)`)
    if (type === 'any') anys.push(`writeAny(out, at, ${i * slotBytes}, f${i})`)
  })
  const size = fields.length * slotBytes
  const asciiSlots = texts.map(
    (i) => `view.setUint32(at + ${i * slotBytes}, end - at, true)
      view.setUint32(at + ${i * slotBytes + 4}, (f${i}.length | 0x80000000) >>> 0, true)
      end += f${i}.length`,
  )
  const write = `
    const at = out.end
    ${texts.length > 0 ? `const text = ${texts.map((i) => `f${i}`).join(' + ')}` : ''}
    out.reserve(${size}${texts.length > 0 ? ' + text.length * 3' : ''})
    const view = out.view
    ${slots.join('\n')}
    let end = at + ${size}
    ${
      texts.length > 0
        ? `if (out.bytes.utf8Write(text, end) === text.length) { ${asciiSlots.join('\n')}; out.end = end }
    else { out.end = end; writeTexts(out, at, [${texts.map((i) => `f${i}`).join()}], [${texts.map((i) => i * slotBytes).join()}]) }`
        : 'out.end = end'
    }
    ${anys.join('\n')}
    return true`
  const text = `return (value, out) => { ${reads.join('\n')} ${write} }`
  return new Function('writeAny', 'writeTexts', text)(writeAny, writeTexts) as Write
}

/** Texts of which some are not ASCII, one by one. Throws UnfitError. */
function writeTexts(out: BodyBuffer, at: number, texts: readonly string[], slots: readonly number[]): void {
  texts.forEach((text, i) => {
    const start = out.end
    const bytes = out.appendText(text)
    if (bytes !== text.length && !isWellFormed(text)) throw new UnfitError('A text has unpaired surrogates.')
    writeText(out, at, slots[i] as number, start, bytes, bytes === text.length)
  })
}
