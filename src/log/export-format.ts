/**
 * An export: a head, the chunks of a range as they lie in the log, an end.
 *
 *   frame = magic "MRX1" u32, length of the frame u32, crc32 of the JSON u32, JSON (UTF-8)      the head, and the end
 *   chunk = as docs/formats.md draws it: magic "MRC1", its length at 8, its checksum at 12
 *
 * An export without its end is not whole; one that broke off has a frame `{error}` in its place. The first and last chunks may hold records outside of the range: the head says
 * the range, and whoever reads skips them.
 */
import { crc32 } from '../runtime/crc32.js'
import { answeredError, MillraceError } from '../runtime/errors.js'
import type { Field } from './bodies.js'
import { chunkHeaderBytes, chunkIsWhole, chunkMagic } from './format.js'
import type { Sequence, ShardId } from './types.js'

export interface ExportShard {
  readonly id: ShardId
  readonly parents: readonly ShardId[]
  /** Records of the shard from this sequence number on, below `until`. */
  readonly from: Sequence
  readonly until: Sequence
}

export interface ExportHead {
  readonly stream: string
  readonly kind: 'plain' | 'table'
  readonly exportedAt: number
  /** In the order in which their chunks come: parents before children. */
  readonly shards: readonly ExportShard[]
  /** All shapes of the stream, as lists of fields; absent where an older version wrote it. */
  readonly shapes?: readonly (readonly Field[])[]
}

export interface ExportEnd {
  readonly chunks: number
  readonly bytes: number
}

/** In place of the end: what broke the export off, as the native API answers errors. */
export interface ExportFailure {
  readonly error: object
}

const frameMagic = 0x3158524d // "MRX1"
const frameHeaderBytes = 12
/** Enough for the head of a stream with every shard that there can be. */
const frameBytesMax = 64 << 20
const chunkBytesMax = 1 << 30

export function encodeFrame(value: ExportHead | ExportEnd | ExportFailure): Buffer {
  const json = Buffer.from(JSON.stringify(value))
  const frame = Buffer.allocUnsafe(frameHeaderBytes + json.length)
  frame.writeUInt32LE(frameMagic, 0)
  frame.writeUInt32LE(frame.length, 4)
  frame.writeUInt32LE(crc32(json), 8)
  json.copy(frame, frameHeaderBytes)
  return frame
}

/** One part of an export, whole and checked. */
export type ExportPart =
  | { readonly kind: 'head'; readonly head: ExportHead }
  | { readonly kind: 'chunk'; readonly chunk: Buffer }
  | { readonly kind: 'end'; readonly end: ExportEnd }
  | { readonly kind: 'failure'; readonly error: MillraceError }

const invalid = (what: string): MillraceError =>
  new MillraceError('FORMAT_INVALID', `The export ${what}.`, {
    remedy: 'Export it again; this one is damaged or no export.',
  })

/** Puts the parts of an export together from the pieces in which they arrive. Throws FORMAT_INVALID. */
export class ExportReader {
  readonly #start = Buffer.alloc(frameHeaderBytes)
  #startBytes = 0
  #part: Buffer | undefined
  #partBytes = 0
  #hasHead = false
  #chunks = 0
  #bytes = 0
  /** The end was read, and it says what came. */
  isWhole = false
  /** What broke the export off. */
  #failure: MillraceError | undefined

  /** What is complete with these bytes. */
  push(piece: Buffer): ExportPart[] {
    const parts: ExportPart[] = []
    for (let at = 0; at < piece.length; ) {
      if (this.isWhole || this.#failure) throw invalid('goes on behind its end')
      if (!this.#part) {
        const copied = piece.copy(this.#start, this.#startBytes, at)
        this.#startBytes += copied
        at += copied
        if (this.#startBytes < frameHeaderBytes) break
        this.#begin()
      }
      const part = this.#part as unknown as Buffer
      const copied = piece.copy(part, this.#partBytes, at)
      this.#partBytes += copied
      at += copied
      if (this.#partBytes < part.length) break
      this.#part = undefined
      this.#startBytes = 0
      parts.push(this.#complete(part))
    }
    return parts
  }

  /** Call when nothing more comes. Throws what broke the export off, too. */
  finish(): void {
    if (this.#failure) throw this.#failure
    if (!this.isWhole) throw invalid('ends too early')
  }

  /** The header is there: both kinds of parts say their length in their first 12 bytes. */
  #begin(): void {
    const magic = this.#start.readUInt32LE(0)
    const isFrame = magic === frameMagic
    if (!isFrame && (magic !== chunkMagic || !this.#hasHead))
      throw invalid(this.#hasHead ? 'has a part that is neither chunk nor end' : 'does not begin with MRX1')
    const length = this.#start.readUInt32LE(isFrame ? 4 : 8)
    const [least, most] = isFrame ? [frameHeaderBytes, frameBytesMax] : [chunkHeaderBytes, chunkBytesMax]
    if (length < least || length > most) throw invalid(`has a part of ${length} bytes`)
    this.#part = Buffer.allocUnsafe(length)
    this.#partBytes = this.#start.copy(this.#part)
  }

  #complete(part: Buffer): ExportPart {
    if (part.readUInt32LE(0) === chunkMagic) {
      if (!chunkIsWhole(part)) throw invalid('has a chunk that does not match its checksum')
      this.#chunks++
      this.#bytes += part.length
      return { kind: 'chunk', chunk: part }
    }
    const json = part.subarray(frameHeaderBytes)
    if (part.readUInt32LE(8) !== crc32(json)) throw invalid('has a head or end that does not match its checksum')
    const value = JSON.parse(json.toString()) as ExportHead | ExportEnd | ExportFailure
    if (!this.#hasHead) {
      this.#hasHead = true
      return { kind: 'head', head: value as ExportHead }
    }
    if ('error' in value) {
      this.#failure = answeredError(json.toString()) ?? invalid('broke off')
      return { kind: 'failure', error: this.#failure }
    }
    const end = value as ExportEnd
    if (end.chunks !== this.#chunks || end.bytes !== this.#bytes)
      throw invalid(`says that it has ${end.chunks} chunks and has ${this.#chunks}`)
    this.isWhole = true
    return { kind: 'end', end }
  }
}
