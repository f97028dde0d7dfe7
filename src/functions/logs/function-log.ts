import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Logger } from '../../runtime/index.js'

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

/** Called with each text as it comes. */
export type LogFollower = (text: string) => void

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

  constructor(options: FunctionLogOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true })
    this.#bytes = existsSync(this.#file) ? statSync(this.#file).size : 0
  }

  get #file(): string {
    return join(this.#options.folder, 'log')
  }
  get #older(): string {
    return join(this.#options.folder, 'log.older')
  }

  append(text: string): void {
    if (text === '') return
    for (const follower of this.#followers) follower(text)
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
    const written = Buffer.concat(
      [this.#older, this.#file].map((path) => (existsSync(path) ? readFileSync(path) : Buffer.alloc(0))),
    )
    const all = Buffer.concat([written, Buffer.from(this.#pending.join(''))])
    if (all.length <= bytesMax) return all.toString()
    const cut = all.subarray(all.length - bytesMax)
    return cut.subarray(cut.indexOf(0x0a) + 1).toString()
  }

  /** Returns what ends it. */
  follow(follower: LogFollower): () => void {
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
    await this.close()
    rmSync(this.#options.folder, { recursive: true, force: true })
  }

  async #writeLater(): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.setTimeout(resolve, gatherMs))
    while (this.#pending.length > 0) await this.#write()
    this.#writing = undefined
  }

  async #write(): Promise<void> {
    const dropped = this.#droppedBytes > 0 ? `${this.#droppedBytes} characters came too fast and are dropped\n` : ''
    const text = Buffer.from(this.#pending.join('') + dropped)
    this.#droppedBytes = 0
    try {
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
    } catch (error) {
      // A disk that is full must not stop functions; nor may the log grow in memory.
      this.#options.logger.warn({ error: (error as Error).message }, `${this.#file} cannot be written.`)
      this.#pending = []
      this.#pendingBytes = 0
    }
  }
}
