import { type ChunkCursor, eventIdDigits, RecordFlag, RecordKind } from '../../log/index.js'
import type { ViewType } from '../catalogue/table-row.js'
import { type ChangePlaces, changeAt } from './change.js'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A sequence number on the wire: 1 and 20 digits, so that all have one length and sort as text and as numbers. */
export const wireSequence = (sequence: number): string => `1${String(sequence).padStart(20, '0')}`

const idName = '{"eventID":"'
const newImagePart = latin1(',"NewImage":')
const oldImagePart = latin1(',"OldImage":')
const sequenceName = ',"SequenceNumber":"1'
const sequenceDigits = 20
const sequencePart = latin1(`${sequenceName}${'0'.repeat(sequenceDigits)}","SizeBytes":`)
const service = ',"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}'
/** Functions get the same with small letters. */
const serviceOfEvent = ',"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}'
const comma = 44
/** More than a record has beside its keys, its images and the region: about 400 bytes. */
const frameBytesMax = 1024

/** What the records of one answer have in common. */
export interface RecordFrame {
  readonly view: ViewType
  readonly region: string
  /** Of an event id, what stands before the digits of its sequence number. */
  readonly eventIdPrefix: (sequence: number) => string
  /** For records as a function gets them, which name their stream: its ARN. */
  readonly eventSourceArn?: string
}

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
  readonly #showsNew: boolean
  readonly #showsOld: boolean
  readonly #region: string
  readonly #eventIdPrefix: (sequence: number) => string
  readonly #tail: Buffer
  readonly #serviceTail: Buffer
  /** What stands before the keys of a record, by its kind; of one second and one epoch. */
  #heads: (Buffer | undefined)[] = []
  #seconds = -1
  #prefix = ''
  /** In a head, where the digits of the sequence number end. */
  #idEnd = 0

  constructor(memory: Buffer, { view, region, eventIdPrefix, eventSourceArn }: RecordFrame) {
    this.#memory = memory
    this.#showsNew = view === 'NEW_IMAGE' || view === 'NEW_AND_OLD_IMAGES'
    this.#showsOld = view === 'OLD_IMAGE' || view === 'NEW_AND_OLD_IMAGES'
    this.#region = region
    this.#eventIdPrefix = eventIdPrefix
    const source = eventSourceArn === undefined ? '' : `,"eventSourceARN":${JSON.stringify(eventSourceArn)}`
    const identity = eventSourceArn === undefined ? service : serviceOfEvent
    this.#tail = latin1(`,"StreamViewType":"${view}"}${source}}`)
    this.#serviceTail = latin1(`,"StreamViewType":"${view}"}${identity}${source}}`)
    this.#at = memory.write('{"Records":[', 0, 'latin1')
  }

  /** Adds the record that the cursor is at, unless with it the records would have more than `bytesMax` bytes: false then. */
  add(cursor: ChunkCursor, bytesMax: number): boolean {
    const { chunk, bodyStart, bodyEnd } = cursor
    this.#reserve(bodyEnd - bodyStart)
    const memory = this.#memory
    let at = this.#at
    if (this.count > 0) memory[at++] = comma
    const start = at
    const head = this.#headOf(cursor)
    head.copy(memory, at)
    writeDigits(memory, at + this.#idEnd, cursor.sequence, 16)
    at += head.length
    const change = changeAt(chunk, bodyStart)
    const showsNew = change.oldImage > change.newImage && this.#showsNew
    const showsOld = change.end > change.oldImage && this.#showsOld
    const size = change.keysSize + (showsNew ? change.newSize : 0) + (showsOld ? change.oldSize : 0)
    at = copyChange(chunk, change, showsNew, showsOld, memory, at)
    sequencePart.copy(memory, at)
    writeDigits(memory, at + sequenceName.length + sequenceDigits, cursor.sequence, 10)
    at += sequencePart.length
    at += digitsOf(size)
    writeDigits(memory, at, size, 10)
    at += (cursor.flags & RecordFlag.service ? this.#serviceTail : this.#tail).copy(memory, at)
    const length = at - start
    if (this.count > 0 && this.bytes + length > bytesMax) return false
    this.#at = at
    this.bytes += length
    this.count++
    return true
  }

  /** Where the record that was added last ends. */
  get at(): number {
    return this.#at
  }

  /** What was written so far: `{"Records":[`, and records with commas between them. */
  get written(): Buffer {
    return this.#memory.subarray(0, this.#at)
  }

  /** The whole answer, in the memory that was given unless that was too small. */
  end(rest: string): Buffer {
    this.#reserve(rest.length)
    this.#at += this.#memory.write(`]${rest}}`, this.#at, 'latin1')
    return this.#memory.subarray(0, this.#at)
  }

  #headOf({ kind, commitTime, sequence }: ChunkCursor): Buffer {
    const seconds = Math.floor(commitTime / 1000)
    const prefix = this.#eventIdPrefix(sequence)
    if (seconds !== this.#seconds || prefix !== this.#prefix) {
      this.#seconds = seconds
      this.#prefix = prefix
      this.#idEnd = idName.length + prefix.length + eventIdDigits
      this.#heads = []
    }
    const known = this.#heads[kind]
    if (known) return known
    const name = kind === RecordKind.insert ? 'INSERT' : kind === RecordKind.modify ? 'MODIFY' : 'REMOVE'
    const head = latin1(
      `${idName}${prefix}${'0'.repeat(eventIdDigits)}","eventName":"${name}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":${JSON.stringify(this.#region)},` +
        `"dynamodb":{"ApproximateCreationDateTime":${seconds},"Keys":`,
    )
    this.#heads[kind] = head
    return head
  }

  /** Makes room for so many bytes and a frame: a single record may be larger than a page is otherwise. */
  #reserve(bytes: number): void {
    const wanted = this.#at + bytes + this.#region.length + this.#serviceTail.length + frameBytesMax
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

const digitCodes = latin1('0123456789abcdef')

/** The digits of a whole number, the last of them before `end`; what stands before them stays. */
function writeDigits(memory: Buffer, end: number, value: number, base: number): void {
  let left = value
  let at = end
  do {
    const rest = Math.floor(left / base)
    memory[--at] = digitCodes[left - rest * base] as number
    left = rest
  } while (left > 0)
}

/**
 * Keys and what is shown of the images; returns where they end. They lie side by side: one copy, and then the images are
 * moved to make room for their names, because a copy of a part of a buffer costs three times such a move.
 */
function copyChange(
  chunk: Buffer,
  change: ChangePlaces,
  showsNew: boolean,
  showsOld: boolean,
  memory: Buffer,
  at: number,
): number {
  const { keys, newImage, oldImage, end } = change
  chunk.copy(memory, at, keys, showsOld ? end : showsNew ? oldImage : newImage)
  const images = at + newImage - keys
  const newBytes = oldImage - newImage
  let to = images
  if (showsNew) to += newImagePart.length + newBytes
  if (showsOld) {
    const from = images + newBytes
    memory.copyWithin(to + oldImagePart.length, from, from + end - oldImage)
    oldImagePart.copy(memory, to)
    to += oldImagePart.length + end - oldImage
  }
  if (showsNew) {
    memory.copyWithin(images + newImagePart.length, images, images + newBytes)
    newImagePart.copy(memory, images)
  }
  return to
}
