/** Bytes of text that a thread may have written and the main thread not read. */
const ringBytes = 32 * 1024
/** Texts on their way beside the ring; what comes when there are so many is counted and dropped. */
const besideMax = 64

const Field = { written: 0, read: 1, besideSent: 2, besideTaken: 3 } as const
const fieldBytes = 4 * Int32Array.BYTES_PER_ELEMENT

export const logRingMemory = (): SharedArrayBuffer => new SharedArrayBuffer(fieldBytes + ringBytes)

/**
 * What a handler prints on its way to the main thread: through memory that both see, so that printing costs no message, and
 * what a handler printed before it hung or took its thread's life can still be read. What has no room there goes beside
 * it as a message; then everything does until that message was taken, which keeps the order.
 */
export class LogRingWriter {
  readonly #fields: Int32Array
  readonly #bytes: Uint8Array
  readonly #beside: (text: string) => void
  #dropped = 0

  constructor(memory: SharedArrayBuffer, beside: (text: string) => void) {
    this.#fields = new Int32Array(memory, 0, 4)
    this.#bytes = new Uint8Array(memory, fieldBytes)
    this.#beside = beside
  }

  write(text: string): void {
    const fields = this.#fields
    const waiting = (Atomics.load(fields, Field.besideSent) - Atomics.load(fields, Field.besideTaken)) | 0
    if (waiting === 0 && this.#dropped === 0 && this.#put(Buffer.from(text))) return
    if (waiting >= besideMax) {
      this.#dropped++
      return
    }
    const note = this.#dropped > 0 ? `${this.#dropped} texts were printed too fast and are dropped\n` : ''
    this.#dropped = 0
    Atomics.add(fields, Field.besideSent, 1)
    this.#beside(note + text)
  }

  #put(text: Buffer): boolean {
    const fields = this.#fields
    const written = Atomics.load(fields, Field.written)
    const free = ringBytes - ((written - Atomics.load(fields, Field.read)) | 0)
    if (text.length > free) return false
    const at = (written >>> 0) % ringBytes
    const first = Math.min(text.length, ringBytes - at)
    this.#bytes.set(text.subarray(0, first), at)
    this.#bytes.set(text.subarray(first), 0)
    Atomics.store(fields, Field.written, (written + text.length) | 0)
    return true
  }
}

/** The main thread's side. */
export class LogRingReader {
  readonly #fields: Int32Array
  readonly #bytes: Buffer

  constructor(memory: SharedArrayBuffer) {
    this.#fields = new Int32Array(memory, 0, 4)
    this.#bytes = Buffer.from(memory, fieldBytes)
  }

  /** What was written since the last look. */
  take(): string {
    const fields = this.#fields
    const written = Atomics.load(fields, Field.written)
    const read = Atomics.load(fields, Field.read)
    const length = (written - read) | 0
    if (length === 0) return ''
    const at = (read >>> 0) % ringBytes
    const first = Math.min(length, ringBytes - at)
    // A text is put whole, so no character is cut.
    const text = Buffer.concat([
      this.#bytes.subarray(at, at + first),
      this.#bytes.subarray(0, length - first),
    ]).toString()
    Atomics.store(fields, Field.read, written)
    return text
  }

  /** A text that came beside the ring: what is in the ring is older. */
  takeBeside(text: string): string {
    const before = this.take()
    Atomics.add(this.#fields, Field.besideTaken, 1)
    return before + text
  }
}
