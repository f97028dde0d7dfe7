import { closeSync, mkdirSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, type Logger, MillraceError } from '../../runtime/index.js'

/** Text gathers so long before it is written, ms. */
const gatherMs = 50
/** Text that waits to be written; what comes when there is so much is dropped. */
const pendingBytesMax = 4 * 1024 * 1024

export interface FunctionLogOptions {
  /** Its own folder. */
  readonly folder: string
  /** Of both files together. */
  readonly bytesMax: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Of one log. */
const followersMax = 32

export interface LogFollower {
  /** Called with each text as it comes. */
  take(text: string): void
  /** The log is gone. */
  ended(): void
}

/**
 * The log of one function: text that is appended to a file; when that is full it takes the place of the one before. What was
 * written in the last moments before a crash may be missing.
 */
export class FunctionLog {
  readonly #options: FunctionLogOptions
  readonly #followers = new Set<LogFollower>()
  #pending: string[] = []
  #pendingBytes = 0
  #droppedBytes = 0
  #bytes: number
  #writing: Promise<void> | undefined
  /** The newest write has failed: that was said. */
  #isFailing = false
  #isGone = false

  constructor(options: FunctionLogOptions) {
    this.#options = options
    this.#bytes = sizeOf(this.#file)
  }

  get #file(): string {
    return join(this.#options.folder, 'log')
  }
  get #older(): string {
    return join(this.#options.folder, 'log.older')
  }

  append(text: string): void {
    if (text === '' || this.#isGone) return
    for (const follower of this.#followers) follower.take(text)
    if (this.#pendingBytes > pendingBytesMax) {
      this.#droppedBytes += text.length
      return
    }
    this.#pending.push(text)
    this.#pendingBytes += text.length
    if (this.#writing === undefined) this.#writing = this.#writeLater()
  }

  /** The newest text, at most so many bytes of it, from the beginning of a line. */
  newest(bytesMax: number): string {
    const pending = Buffer.from(this.#pending.join(''))
    const last = endOf(this.#file, this.#bytes, bytesMax + 1 - pending.length)
    const before = endOf(this.#older, sizeOf(this.#older), bytesMax + 1 - pending.length - last.length)
    const all = Buffer.concat([before, last, pending])
    if (all.length <= bytesMax) return all.toString()
    // With one byte more, which may be the end of the line before.
    const cut = all.subarray(all.length - bytesMax - 1)
    const line = cut.indexOf(0x0a)
    return line < 0 ? '' : cut.subarray(line + 1).toString()
  }

  /** Returns what ends it. Throws TOO_BUSY. */
  follow(follower: LogFollower): () => void {
    if (this.#followers.size >= followersMax)
      throw new MillraceError('TOO_BUSY', `${followersMax} clients follow this log already.`)
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  get followers(): number {
    return this.#followers.size
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  /** Nothing of it stays. */
  async remove(): Promise<void> {
    this.#isGone = true
    for (const follower of [...this.#followers]) follower.ended()
    await this.close()
    rmSync(this.#options.folder, { recursive: true, force: true })
  }

  async #writeLater(): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.setTimeout(resolve, gatherMs))
    while (this.#pending.length > 0) await this.#write()
    this.#writing = undefined
  }

  async #write(): Promise<void> {
    const dropped = this.#droppedBytes
    const note = dropped > 0 ? `${dropped} characters could not be written\n` : ''
    const text = Buffer.from(this.#pending.join('') + note)
    this.#droppedBytes = 0
    try {
      mkdirSync(this.#options.folder, { recursive: true })
      const half = Math.floor(this.#options.bytesMax / 2)
      if (this.#bytes + text.length > half && this.#bytes > 0) {
        renameSync(this.#file, this.#older)
        this.#bytes = 0
      }
      const kept = text.length > half ? text.subarray(text.length - half) : text
      const written = this.#pending.length
      await appendFile(this.#file, kept)
      this.#bytes += kept.length
      this.#pending.splice(0, written)
      this.#pendingBytes = this.#pending.reduce((sum, each) => sum + each.length, 0)
      this.#isFailing = false
    } catch (error) {
      // A disk that is full must not stop functions; nor may the log grow in memory.
      if (!this.#isFailing)
        this.#options.logger.warn({ error: (error as Error).message }, `${this.#file} cannot be written.`)
      this.#isFailing = true
      this.#droppedBytes += dropped + this.#pendingBytes
      this.#pending = []
      this.#pendingBytes = 0
      // A part of it may be there.
      this.#bytes = sizeOf(this.#file)
    }
  }
}

/** 0 of what cannot be read, too. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

/** The last bytes of a file, of its first `size`; what is behind these is not counted yet. */
function endOf(path: string, size: number, bytes: number): Buffer {
  const wanted = Math.min(size, Math.max(0, bytes))
  if (wanted === 0) return Buffer.alloc(0)
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(wanted)
    return buffer.subarray(0, readSync(file, buffer, 0, wanted, size - wanted))
  } finally {
    closeSync(file)
  }
}
