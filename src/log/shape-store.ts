import type { PackContext, RowEffect } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import { BodyReader, parseShape, type Shape, shapesMax } from './bodies.js'
import { shapeKey } from './keys.js'
import type { Layout } from './layout.js'
import type { StreamId } from './types.js'

const version = 1
const headerBytes = 5

/** What makes the rows of shapes in the commit that brings the first records of them; see EffectSet. */
export interface ShapesInCommit {
  readonly atPack?: (context: PackContext) => readonly RowEffect[]
}

/** The shapes of one stream. */
class StreamShapes {
  /** As the next commit sees them, in the order in which they came. */
  readonly packed: Shape[] = []
  readonly byId = new Map<number, Shape>()
  /** As readers see them: those of commits that have returned. */
  readonly shown: Shape[] = []
  readonly reader = new BodyReader()

  add(shape: Shape): void {
    this.packed.push(shape)
    this.byId.set(shape.id, shape)
  }
}

/**
 * The shapes of all streams. One is stored once, in the commit of the first batch that brings it, under its number in the
 * stream: so a reader says how many it knows, and gets the rest. It shows when that commit has returned, as records do.
 */
export class ShapeStore {
  readonly #layout: Pick<Layout, 'stream'>
  readonly #streams = new Map<StreamId, StreamShapes>()
  /** Of which the commit in flight brings shapes. */
  readonly #changed = new Set<StreamShapes>()

  constructor(layout: Pick<Layout, 'stream'>) {
    this.#layout = layout
  }

  /** Takes the rows that are stored. */
  load(rows: readonly { readonly key: Buffer; readonly value: Buffer }[]): void {
    const found = rows.map(({ key, value }) => ({ stream: key.readUInt32BE(1) as StreamId, ...decode(value) }))
    found.sort((a, b) => a.number - b.number)
    for (const { stream, shape } of found) {
      const shapes = this.#of(stream)
      shapes.add(shape)
      shapes.shown.push(shape)
    }
  }

  /** Shapes that readers of a stream may meet, in an order that never changes; grows at its end. */
  of(stream: StreamId): readonly Shape[] {
    return this.#streams.get(stream)?.shown ?? []
  }

  /** Reads bodies of a stream. */
  reader(stream: StreamId): BodyReader {
    const { reader, shown } = this.#of(stream)
    reader.learn(shown, 0)
    return reader
  }

  /** Whether a record that is submitted now may be of this shape. */
  has(stream: StreamId, shape: number): boolean {
    return this.#streams.get(stream)?.byId.has(shape) === true
  }

  /**
   * Why a shape may not be stored: the stream has too many, or another of the same id. Undefined when it may, or is.
   */
  refusal(stream: StreamId, shapes: readonly Shape[]): MillraceError | undefined {
    const known = this.#streams.get(stream)
    let count = known?.packed.length ?? 0
    for (const shape of shapes) {
      const same = known?.byId.get(shape.id)
      if (same && same.text !== shape.text)
        return new MillraceError('SHAPES_FULL', `The stream has another shape with the id ${shape.id}.`)
      if (!same && ++count > shapesMax)
        return new MillraceError('SHAPES_FULL', `The stream has ${shapesMax} shapes already.`)
    }
    return undefined
  }

  /** For the effect set of records that come with these shapes. */
  inCommit(stream: StreamId, shapes: readonly Shape[]): ShapesInCommit {
    if (shapes.every((shape) => this.has(stream, shape.id))) return {}
    return { atPack: () => this.#pack(stream, shapes) }
  }

  #pack(stream: StreamId, shapes: readonly Shape[]): RowEffect[] {
    const rows: RowEffect[] = []
    // The records of a stream that was deleted meanwhile are not packed either.
    if (!this.#layout.stream(stream)) return rows
    const known = this.#of(stream)
    for (const shape of shapes) {
      if (known.byId.has(shape.id)) continue
      rows.push({ key: shapeKey(stream, shape.id), value: encode(known.packed.length, shape) })
      known.add(shape)
      this.#changed.add(known)
    }
    return rows
  }

  /** The commit in flight has returned. */
  show(): void {
    for (const { packed, shown } of this.#changed)
      for (let i = shown.length; i < packed.length; i++) shown.push(packed[i] as Shape)
    this.#changed.clear()
  }

  forget(stream: StreamId): void {
    this.#streams.delete(stream)
  }

  #of(stream: StreamId): StreamShapes {
    let shapes = this.#streams.get(stream)
    if (!shapes) {
      shapes = new StreamShapes()
      this.#streams.set(stream, shapes)
    }
    return shapes
  }
}

/** Version u8, number in the stream u32, the fields as JSON. */
function encode(number: number, shape: Shape): Buffer {
  const value = Buffer.allocUnsafe(headerBytes + Buffer.byteLength(shape.text))
  value[0] = version
  value.writeUInt32LE(number, 1)
  value.write(shape.text, headerBytes)
  return value
}

function decode(value: Buffer): { readonly number: number; readonly shape: Shape } {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A shape row has version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  return { number: value.readUInt32LE(1), shape: parseShape(JSON.parse(value.toString('utf8', headerBytes))) }
}
