/**
 * Rows on their way between threads, in one buffer that is handed over instead of copied: for each the length of its key u32le,
 * that of its value and 1 u32le (0 for a row that goes), key, value. Of keys alone each has no value.
 */
export class RowBuffer {
  #bytes = nothing
  #length = 0
  /** Of what was taken last: the next will be about as long, and growing to it would copy it over and over. */
  #lastLength = 0

  add(key: Uint8Array, value: Uint8Array | undefined): void {
    const at = this.begin(key.length, value?.length)
    copyInto(this.bytes, key, at)
    if (value) copyInto(this.bytes, value, at + key.length)
  }

  /** Begins a row (one that goes, where `valueBytes` is undefined), of which the caller writes key and value behind each other: where. */
  begin(keyBytes: number, valueBytes: number | undefined): number {
    const at = this.#length
    const end = at + headBytes + keyBytes + (valueBytes ?? 0)
    if (end > this.#bytes.length) this.#grow(end)
    this.#bytes.writeUInt32LE(keyBytes, at)
    this.#bytes.writeUInt32LE(valueBytes === undefined ? 0 : valueBytes + 1, at + 4)
    this.#length = end
    return at + headBytes
  }

  /** What rows are written into: another one after each `begin`. */
  get bytes(): Buffer {
    return this.#bytes
  }

  #grow(end: number): void {
    const expected = this.#bytes.length === 0 ? Math.ceil(this.#lastLength * 1.125) : 2 * this.#bytes.length
    const larger = Buffer.allocUnsafeSlow(Math.max(leastBytes, end, expected))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  /** What was added, to be transferred: the buffer is begun anew. */
  take(): PackedRows {
    const length = this.#length
    const { buffer } = length === 0 ? Buffer.allocUnsafeSlow(0) : this.#bytes
    this.#lastLength = length
    this.#bytes = nothing
    this.#length = 0
    return { buffer, length }
  }
}

/** Below it a loop costs less than a call of `set`. */
const loopBytesMax = 32

export function copyInto(target: Buffer, source: Uint8Array, at: number): void {
  const { length } = source
  if (length > loopBytesMax) return target.set(source, at)
  for (let i = 0; i < length; i++) target[at + i] = source[i] as number
}

export interface PackedRows {
  readonly buffer: ArrayBuffer
  readonly length: number
}

/** A row in such a buffer; without a value it goes. */
export interface PackedRow {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

const nothing = Buffer.alloc(0)
const leastBytes = 4096
const headBytes = 8

/** The rows in a buffer, as views of it. */
export function rowsIn({ buffer, length }: PackedRows): PackedRow[] {
  const bytes = Buffer.from(buffer, 0, length)
  const rows: PackedRow[] = []
  for (let at = 0; at < length; ) {
    const keyAt = at + headBytes
    const keyEnd = keyAt + bytes.readUInt32LE(at)
    const valueBytes = bytes.readUInt32LE(at + 4)
    at = valueBytes === 0 ? keyEnd : keyEnd + valueBytes - 1
    rows.push({
      key: Buffer.from(buffer, keyAt, keyEnd - keyAt),
      value: valueBytes === 0 ? undefined : Buffer.from(buffer, keyEnd, at - keyEnd),
    })
  }
  return rows
}
