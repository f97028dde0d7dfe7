import { Packr } from 'msgpackr'

/** MessagePack of a body or a cell: maps with their names, bigints of any size, bytes copied out of the chunk. */
const packr = new Packr({ useRecords: false, useBigIntExtension: true, copyBuffers: true, variableMapSize: true })

export const packed = (value: unknown): Uint8Array => packr.pack(value)

/** Throws for bytes that are no MessagePack. */
export function unpacked(bytes: Uint8Array): unknown {
  // As plain bytes: those within would come out as Buffers otherwise.
  return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)) as unknown
}

/** What Node's buffers have and its types do not say: without a look at the encoding's name. */
export interface TextBuffer extends Buffer {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, start: number): number
}

/** A buffer that grows: bodies are written into the place where they are sent from. */
export class BodyBuffer {
  bytes: TextBuffer
  view: DataView
  /** Behind what is written. */
  end = 0

  constructor(firstBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(firstBytes) as TextBuffer
    this.view = viewOf(this.bytes)
  }

  /** Makes room for so many bytes behind the end. */
  reserve(bytes: number): void {
    if (this.end + bytes <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.end + bytes)) as TextBuffer
    this.bytes.copy(larger, 0, 0, this.end)
    this.bytes = larger
    this.view = viewOf(larger)
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.end)
    this.end += bytes.length
  }

  /** No character takes more than three bytes in UTF-8 for each of its units. Gives back how many were written. */
  appendText(text: string): number {
    this.reserve(text.length * 3)
    const written = this.bytes.utf8Write(text, this.end)
    this.end += written
    return written
  }
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
