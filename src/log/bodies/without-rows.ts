import { encodeBatch, recordsOfBatch } from '../format.js'
import { Codec } from '../types.js'
import { packed } from './body-buffer.js'
import { BodyReader, type StoredBody } from './body-reader.js'
import type { Shape } from './shape.js'

/**
 * The same batch, without a producer, with its rows as MessagePack but for those of the shapes that are `taken`: for a stream
 * that takes no others.
 */
export function withoutRows(batch: Buffer, shapes: readonly Shape[], taken: readonly Shape[] = []): Buffer {
  const reader = new BodyReader()
  reader.learn(shapes)
  const refused = new Set(shapes.filter((shape) => !taken.includes(shape)).map(({ id }) => id))
  return encodeBatch(
    recordsOfBatch(batch).map((record) =>
      record.codec === Codec.row && refused.has(record.shape ?? 0)
        ? { ...record, codec: Codec.msgpack, shape: 0, body: Buffer.from(packed(reader.value(record as StoredBody))) }
        : record,
    ),
  )
}
