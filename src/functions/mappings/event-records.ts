import type { OpenWindow, PendingRecord } from './core/index.js'

const empty = Buffer.from(new ArrayBuffer(0))

/** How many times as large as what is written in it memory may be that is kept. */
const wasteMax = 2

/** A record as JSON in the memory of the page that it was read with. */
export class EventRecord implements PendingRecord {
  #page: EventPage | undefined

  constructor(
    readonly sequence: number,
    readonly hash: number,
    readonly time: number,
    page: EventPage,
    readonly start: number,
    readonly end: number,
  ) {
    this.#page = page
    page.records++
  }

  get isDone(): boolean {
    return this.#page === undefined
  }

  /** Its bytes are needed no more, though it may lie behind one that is not done for long. */
  done(): void {
    const page = this.#page
    this.#page = undefined
    if (page && --page.records === 0) page.free()
  }

  /** Only while it is not done. */
  get page(): EventPage {
    return this.#page as EventPage
  }

  get bytes(): number {
    return this.end - this.start
  }
}

/** The records that were written by one reading, with commas between them, in memory that is kept until all of them are done. */
export class EventPage {
  readonly #onHeld: (bytes: number) => void
  #memory: Buffer = empty
  /** Those that are not done. */
  records = 0

  /** @param onHeld so many bytes more are kept, or less */
  constructor(onHeld: (bytes: number) => void) {
    this.#onHeld = onHeld
  }

  get memory(): Buffer {
    return this.#memory
  }

  /** All of its records are written, in the front of memory that may be far larger. */
  wrote(written: Buffer): void {
    const isSmall = written.length * wasteMax < written.buffer.byteLength
    this.#memory = isSmall ? copyOf(written) : written
    this.#onHeld(this.#memory.buffer.byteLength)
  }

  free(): void {
    this.#onHeld(-this.#memory.buffer.byteLength)
    this.#memory = empty
  }
}

function copyOf(written: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(written.length)
  written.copy(copy)
  return copy
}

/** What the event of a tumbling window has beside its records. */
export interface WindowMembers {
  readonly window: OpenWindow
  readonly ms: number
  readonly shardId: string
  readonly streamArn: string
  readonly isFinal: boolean
}

const head = Buffer.from('{"Records":[')
const comma = 44

/** The event that a function gets, as JSON in memory of its own, which may be given away. */
export function eventOf(records: readonly EventRecord[], window?: WindowMembers): Buffer {
  const tail = Buffer.from(`]${window ? membersOf(window) : ''}}`)
  let length = head.length + tail.length + Math.max(0, records.length - 1)
  for (const record of records) length += record.bytes
  const event = Buffer.allocUnsafeSlow(length)
  let at = head.copy(event)
  for (let from = 0; from < records.length; ) {
    const { page, start, end } = records[from] as EventRecord
    // Records that lie side by side are copied as one, with their commas.
    let to = from + 1
    let until = end
    for (; to < records.length; to++) {
      const next = records[to] as EventRecord
      if (next.page !== page || next.start !== until + 1) break
      until = next.end
    }
    if (from > 0) event[at++] = comma
    at += page.memory.copy(event, at, start, until)
    from = to
  }
  tail.copy(event, at)
  return event
}

function membersOf({ window, ms, shardId, streamArn, isFinal }: WindowMembers): string {
  const { start, state, isEarly } = window
  const bounds = JSON.stringify({ start: secondsText(start), end: secondsText(start + ms) })
  return (
    `,"window":${bounds},"state":${state},"shardId":${JSON.stringify(shardId)},"eventSourceARN":${JSON.stringify(streamArn)},` +
    `"isFinalInvokeForWindow":${isFinal},"isWindowTerminatedEarly":${isFinal && isEarly}`
  )
}

/** A time as AWS writes it where seconds are enough: `2022-07-13T13:48:01Z`. */
export const secondsText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
