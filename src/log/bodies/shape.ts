/**
 * A shape says which fields a row has, and in which order: names and types once, not in every record. Its id is a hash of
 * its content, so that everybody who makes it gives it the same one; docs/formats.md draws it.
 */
import { crc32 } from 'node:zlib'
import { MillraceError } from '../../runtime/errors.js'
import { isWellFormed } from './plain-data.js'

/**
 * `number` and `string` take a slot of 8 bytes each and are read from it without a look at anything else; `any` is a slot
 * that says of each value what it is.
 */
export const fieldTypes = ['number', 'string', 'any'] as const
export type FieldType = (typeof fieldTypes)[number]
export type Field = readonly [name: string, type: FieldType]

export interface Shape {
  /** 1 to 2^32 - 1; 0 means none. */
  readonly id: number
  readonly fields: readonly Field[]
  /** What is hashed: the fields as JSON. */
  readonly text: string
}

/** Fields of one row: what has more is rather a map, and is stored as a MessagePack body. */
export const rowFieldsMax = 128
/** Length of a shape's text: names of fields, not data. */
export const shapeTextMax = 8 * 1024
/** Shapes of one stream: past it, records of others are stored as MessagePack bodies. */
export const shapesMax = 256

/** Names that a view of a row has for itself, or that no object literal can have. */
const reserved = new Set(['__proto__', 'constructor', 'toJSON'])

/** Whether a row may have a field of that name. */
export const isFieldName = (name: string): boolean => !reserved.has(name) && isWellFormed(name)

export function shapeOf(fields: readonly Field[]): Shape {
  const text = JSON.stringify(fields)
  return { id: crc32(text) || 1, fields, text }
}

/** A shape of JSON that came from outside. Throws FORMAT_INVALID. */
export function parseShape(value: unknown): Shape {
  if (!Array.isArray(value) || value.length === 0 || value.length > rowFieldsMax)
    throw invalid(`is no list of 1 to ${rowFieldsMax} fields`)
  const names = new Set<string>()
  for (const field of value as unknown[]) {
    const [name, type] = (Array.isArray(field) && field.length === 2 ? field : []) as unknown[]
    if (typeof name !== 'string' || !isFieldName(name)) throw invalid('has a field whose name no field may have')
    if (!fieldTypes.includes(type as FieldType))
      throw invalid(`has a field ${name} of the unknown type ${String(type)}`)
    if (names.has(name)) throw invalid(`has two fields ${name}`)
    names.add(name)
  }
  const shape = shapeOf(value as Field[])
  if (shape.text.length > shapeTextMax) throw invalid(`has a text of more than ${shapeTextMax} characters`)
  return shape
}

const invalid = (what: string): MillraceError => new MillraceError('FORMAT_INVALID', `A shape ${what}.`)

const framesMagic = 0x3153524d // "MRS1"
const frameHeaderBytes = 12

/** Shapes as they go in front of a batch: magic "MRS1", length of it all, CRC-32 of the JSON, then the list as JSON. */
export function encodeShapes(shapes: readonly Shape[]): Buffer {
  const json = Buffer.from(`[${shapes.map((shape) => shape.text).join()}]`)
  const frame = Buffer.allocUnsafe(frameHeaderBytes + json.length)
  frame.writeUInt32LE(framesMagic, 0)
  frame.writeUInt32LE(frame.length, 4)
  frame.writeUInt32LE(crc32(json), 8)
  json.copy(frame, frameHeaderBytes)
  return frame
}

/** Takes the shapes off the front of a binary body; there may be none. Throws FORMAT_INVALID. */
export function splitShapes(body: Buffer): { readonly shapes: readonly Shape[]; readonly batch: Buffer } {
  if (body.length < frameHeaderBytes || body.readUInt32LE(0) !== framesMagic) return { shapes: [], batch: body }
  const length = body.readUInt32LE(4)
  if (length < frameHeaderBytes || length > body.length) throw invalid('list in front of the batch has a wrong length')
  const json = body.subarray(frameHeaderBytes, length)
  if (crc32(json) !== body.readUInt32LE(8)) throw invalid('list in front of the batch does not match its checksum')
  return { shapes: parseShapes(json.toString()), batch: body.subarray(length) }
}

/** The list of shapes in JSON. Throws FORMAT_INVALID. */
export function parseShapes(json: string): readonly Shape[] {
  let list: unknown
  try {
    list = JSON.parse(json)
  } catch {
    throw invalid('list is no JSON')
  }
  if (!Array.isArray(list) || list.length > shapesMax) throw invalid(`list has more than ${shapesMax} shapes`)
  return list.map(parseShape)
}
