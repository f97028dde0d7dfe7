import type { NewRecord } from '../log/types.js'

/**
 * Items of a table on their way to a thread, in memory of their own: key length u32le, body length u32le, key, body, one after
 * the other. The body is that of a change record, the new image of which is the item.
 */
export function packItems(records: readonly NewRecord[]): Uint8Array<ArrayBuffer> {
  let length = 0
  for (const { key, body } of records) length += 8 + key.length + body.length
  // Not of the pool: it is handed over.
  const packed = Buffer.from(new ArrayBuffer(length))
  let at = 0
  for (const { key, body } of records) {
    packed.writeUInt32LE(key.length, at)
    packed.writeUInt32LE(body.length, at + 4)
    key.copy(packed, at + 8)
    body.copy(packed, at + 8 + key.length)
    at += 8 + key.length + body.length
  }
  return packed as Uint8Array<ArrayBuffer>
}

export function* packedItems(packed: Uint8Array): Generator<{ readonly key: Buffer; readonly body: Buffer }> {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  for (let at = 0; at < bytes.length; ) {
    const bodyStart = at + 8 + bytes.readUInt32LE(at)
    const bodyEnd = bodyStart + bytes.readUInt32LE(at + 4)
    yield { key: bytes.subarray(at + 8, bodyStart), body: bytes.subarray(bodyStart, bodyEnd) }
    at = bodyEnd
  }
}
