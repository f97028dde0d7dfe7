import { MillraceError } from '../../runtime/errors.js'
import type { ChunkCursor } from '../format.js'
import { Codec } from '../types.js'
import { type TextBuffer, unpacked, viewOf } from './body-buffer.js'
import { jsonReady } from './plain-data.js'
import { isWholeRow, type RowClass, rowClassOf } from './row-view.js'
import type { Shape } from './shape.js'
import { type RowBytes, slotBytes } from './slots.js'

/** A body with what its record's header says of it. */
export interface StoredBody {
  readonly codec: Codec
  /** Id of its shape; 0 when it is no row. */
  readonly shape: number
  readonly body: Buffer
}

/** A shape as readers keep it: the class is made when the first row comes. */
interface KnownShape {
  readonly shape: Shape
  view: RowClass | undefined
}

/** Reads the bodies of one stream, whose shapes it knows. */
export class BodyReader {
  readonly #shapes = new Map<number, KnownShape>()
  #count = 0
  #lastId = 0
  #last: KnownShape | undefined

  /** Shapes in the order in which the stream has them: those that came before are passed over. */
  learn(shapes: readonly Shape[], from = this.#count): void {
    for (let i = Math.max(0, this.#count - from); i < shapes.length; i++) {
      const shape = shapes[i] as Shape
      this.#shapes.set(shape.id, { shape, view: undefined })
      this.#count++
    }
  }

  /** Takes shapes of any order: for one reader of several streams, where equal ids mean equal shapes. */
  add(shapes: readonly Shape[]): void {
    for (const shape of shapes) if (!this.#shapes.has(shape.id)) this.#shapes.set(shape.id, { shape, view: undefined })
  }

  /** How many shapes it has learnt. */
  get count(): number {
    return this.#count
  }

  #known(id: number): KnownShape | undefined {
    if (id !== this.#lastId) {
      this.#last = this.#shapes.get(id)
      this.#lastId = id
    }
    return this.#last
  }

  /** The row under a cursor, read lazily: nothing of its fields is touched. Throws FORMAT_INVALID. */
  row(bytes: RowBytes, shape: number, start: number, end: number): object {
    const known = this.#known(shape)
    if (!known || end - start < known.shape.fields.length * slotBytes) throw unreadable(shape)
    known.view ??= rowClassOf(known.shape)
    return new known.view(bytes, start)
  }

  /** The value of a body, decoded as a whole. Throws for a body that is not what its header says. */
  value({ codec, shape: id, body }: StoredBody): unknown {
    switch (codec) {
      case Codec.json:
        return JSON.parse(body.toString()) as unknown
      case Codec.msgpack:
        return unpacked(body)
      case Codec.row: {
        const shape = this.#known(id)?.shape
        const bytes = rowBytes(body)
        if (!shape || !isWholeRow(shape, bytes, 0, body.length)) throw unreadable(id)
        return new (rowClassOf(shape))(bytes, 0).toJSON()
      }
      default:
        return new Uint8Array(body)
    }
  }

  /**
   * The value of a body; undefined when there is none in it: a program may have called anything a row or JSON, and one body
   * that is not must not keep readers from all that follow it. Their bytes are what there is then.
   */
  valueOrUndefined(stored: StoredBody): unknown {
    if (stored.codec === Codec.raw) return undefined
    try {
      return this.value(stored)
    } catch {
      return undefined
    }
  }

  /** As `valueOrUndefined`, as JSON can show it: bigints are strings of digits, bytes base64. */
  shown(stored: StoredBody, depthMax: number): unknown {
    const value = this.valueOrUndefined(stored)
    if (value === undefined || stored.codec === Codec.json) return value
    try {
      return jsonReady(value, depthMax)
    } catch {
      return undefined
    }
  }
}

const unreadable = (shape: number): MillraceError =>
  new MillraceError('FORMAT_INVALID', `A row of the shape ${shape} cannot be read: its bytes are not those of one.`)

/** What views of rows need of the buffer that they lie in. */
export const rowBytes = (buffer: Buffer): RowBytes => ({ view: viewOf(buffer), bytes: buffer as TextBuffer })

/** The body under a cursor. */
export const bodyOf = (cursor: ChunkCursor): StoredBody => ({
  codec: cursor.codec,
  shape: cursor.shape,
  body: cursor.body,
})
