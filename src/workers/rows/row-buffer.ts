/**
 * Rows on their way between threads, in one buffer that is handed over instead of copied: for each the length of its key u32le,
 * that of its value and 1 u32le (0 for a row that goes), key, value. Of keys alone each has no value.
 */
export class RowBuffer {
  #bytes = Buffer.allocUnsafeSlow(leastBytes)
  #length = 0

  add(key: Uint8Array, value: Uint8Array | undefined): void {
    const valueBytes = value?.length ?? 0
    const end = this.#length + headBytes + key.length + valueBytes
    if (end > this.#bytes.length) this.#grow(end)
    const bytes = this.#bytes
    bytes.writeUInt32LE(key.length, this.#length)
    bytes.writeUInt32LE(value ? valueBytes + 1 : 0, this.#length + 4)
    bytes.set(key, this.#length + headBytes)
    if (value) bytes.set(value, this.#length + headBytes + key.length)
    this.#length = end
  }

  #grow(end: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#bytes.length))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  /** What was added, to be transferred: the buffer is begun anew. */
  take(): PackedRows {
    const { buffer } = this.#bytes
    const length = this.#length
    this.#bytes = Buffer.allocUnsafeSlow(leastBytes)
    this.#length = 0
    return { buffer, length }
  }
}

export interface PackedRows {
  readonly buffer: ArrayBuffer
  readonly length: number
}

const leastBytes = 4096
const headBytes = 8

/** The rows in a buffer, as views of it. */
export function* rowsIn({
  buffer,
  length,
}: PackedRows): Generator<{ readonly key: Buffer; readonly value: Buffer | undefined }> {
  const bytes = Buffer.from(buffer, 0, length)
  for (let at = 0; at < length; ) {
    const keyEnd = at + headBytes + bytes.readUInt32LE(at)
    const valueBytes = bytes.readUInt32LE(at + 4)
    const end = valueBytes === 0 ? keyEnd : keyEnd + valueBytes - 1
    yield {
      key: bytes.subarray(at + headBytes, keyEnd),
      value: valueBytes === 0 ? undefined : bytes.subarray(keyEnd, end),
    }
    at = end
  }
}
