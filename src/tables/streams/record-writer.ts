import { type ChunkCursor, RecordFlag, RecordKind } from '../../log/index.js'
import type { ViewType } from '../catalogue/table-row.js'
import { changeAt } from './change.js'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A sequence number on the wire: 1 and 20 digits, so that all have one length and sort as text and as numbers. */
export const wireSequence = (sequence: number): string => `1${String(sequence).padStart(20, '0')}`

const newImagePart = latin1(',"NewImage":')
const oldImagePart = latin1(',"OldImage":')
const sequenceName = ',"SequenceNumber":"1'
const sequenceDigits = 20
const sequencePart = latin1(`${sequenceName}${'0'.repeat(sequenceDigits)}","SizeBytes":`)
const service = ',"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}'
const comma = 44
/** More than a record has beside its keys, its images, its event id and the region: those are 400 bytes. */
const frameBytesMax = 1024

/**
 * Change records of an AWS stream as JSON, written into memory that is there. Keys and images lie in the log as the JSON that
 * they are answered as, so their bytes are copied and never looked at; what lies between them is copied from templates, in
 * which the digits of numbers are filled in: 0.7 µs a record, where putting strings together took 1.9 and a megabyte of fresh
 * memory (npm run bench -- tables --only GetRecords).
 */
export class RecordWriter {
  /** Bytes of records so far. */
  bytes = 0
  count = 0
  #memory: Buffer
  /** Where the next byte goes. */
  #at: number
  readonly #view: ViewType
  readonly #region: string
  readonly #eventId: (sequence: number) => string
  readonly #tail: Buffer
  readonly #serviceTail: Buffer
  /** What stands before the keys of a record, by its kind; of one second. */
  #heads: (Buffer | undefined)[] = []
  #seconds = -1

  /** @param eventId the id of the change with a sequence number; all of one answer have one length */
  constructor(
    memory: Buffer,
    { view, region, eventId }: { view: ViewType; region: string; eventId: (sequence: number) => string },
  ) {
    this.#memory = memory
    this.#view = view
    this.#region = region
    this.#eventId = eventId
    this.#tail = latin1(`,"StreamViewType":"${view}"}}`)
    this.#serviceTail = latin1(`,"StreamViewType":"${view}"}${service}}`)
    this.#at = memory.write('{"Records":[', 0, 'latin1')
  }

  /** Adds the record that the cursor is at, unless with it the records would have more than `bytesMax` bytes: false then. */
  add(cursor: ChunkCursor, bytesMax: number): boolean {
    const { chunk, bodyStart, bodyEnd } = cursor
    const change = changeAt(chunk, bodyStart)
    const id = this.#eventId(cursor.sequence)
    this.#reserve(bodyEnd - bodyStart + id.length)
    const memory = this.#memory
    let at = this.#at
    if (this.count > 0) memory[at++] = comma
    const start = at
    at += memory.write('{"eventID":"', at, 'latin1')
    at += memory.write(id, at, 'latin1')
    at += this.#headOf(cursor).copy(memory, at)
    at += chunk.copy(memory, at, change.keys, change.newImage)
    let size = change.keysSize
    if (change.oldImage > change.newImage && this.#view !== 'OLD_IMAGE' && this.#view !== 'KEYS_ONLY') {
      at += newImagePart.copy(memory, at)
      at += chunk.copy(memory, at, change.newImage, change.oldImage)
      size += change.newSize
    }
    if (change.end > change.oldImage && this.#view !== 'NEW_IMAGE' && this.#view !== 'KEYS_ONLY') {
      at += oldImagePart.copy(memory, at)
      at += chunk.copy(memory, at, change.oldImage, change.end)
      size += change.oldSize
    }
    sequencePart.copy(memory, at)
    writeDigits(memory, at + sequenceName.length + sequenceDigits, cursor.sequence)
    at += sequencePart.length
    at += digitsOf(size)
    writeDigits(memory, at, size)
    at += (cursor.flags & RecordFlag.service ? this.#serviceTail : this.#tail).copy(memory, at)
    const length = at - start
    if (this.count > 0 && this.bytes + length > bytesMax) return false
    this.#at = at
    this.bytes += length
    this.count++
    return true
  }

  /** The whole answer, in the memory that was given unless that was too small. */
  end(rest: string): Buffer {
    this.#reserve(rest.length)
    this.#at += this.#memory.write(`]${rest}}`, this.#at, 'latin1')
    return this.#memory.subarray(0, this.#at)
  }

  #headOf({ kind, commitTime }: ChunkCursor): Buffer {
    const seconds = Math.floor(commitTime / 1000)
    if (seconds !== this.#seconds) {
      this.#seconds = seconds
      this.#heads = []
    }
    const known = this.#heads[kind]
    if (known) return known
    const name = kind === RecordKind.insert ? 'INSERT' : kind === RecordKind.modify ? 'MODIFY' : 'REMOVE'
    const head = latin1(
      `","eventName":"${name}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":${JSON.stringify(this.#region)},` +
        `"dynamodb":{"ApproximateCreationDateTime":${seconds},"Keys":`,
    )
    this.#heads[kind] = head
    return head
  }

  /** Makes room for so many bytes and a frame: a single record may be larger than a page is otherwise. */
  #reserve(bytes: number): void {
    const wanted = this.#at + bytes + this.#region.length + frameBytesMax
    if (wanted <= this.#memory.length) return
    const larger = Buffer.allocUnsafeSlow(2 * wanted)
    this.#memory.copy(larger, 0, 0, this.#at)
    this.#memory = larger
  }
}

function digitsOf(value: number): number {
  let digits = 1
  for (let bound = 10; value >= bound; bound *= 10) digits++
  return digits
}

/** The digits of a whole number, the last of them before `end`; what stands before them stays. */
function writeDigits(memory: Buffer, end: number, value: number): void {
  let left = value
  let at = end
  do {
    const rest = Math.floor(left / 10)
    memory[--at] = 48 + left - rest * 10
    left = rest
  } while (left > 0)
}
