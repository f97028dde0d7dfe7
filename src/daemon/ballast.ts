import { randomFillSync } from 'node:crypto'
import { existsSync, rmSync, statSync, truncateSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Logger } from '../runtime/index.js'

const blockBytes = 1024 * 1024
/** Bytes after which they are synced, so that a commit never waits for all of them at once. */
const syncBytes = 8 * blockBytes

/**
 * A file that holds space which nobody needs, until the store has to be opened on a full disk: RocksDB writes its log
 * out as tables then and fails without about the log's size in free space. It is given away before such an opening, and
 * made again when there is room. Its bytes are random, so that no file system packs them away.
 */
export class Ballast {
  readonly path: string
  /** More than RocksDB's log can be. */
  readonly bytes: number
  readonly #logger: Logger
  #making: Promise<void> | undefined
  #isStopped = false

  constructor(path: string, bytes: number, logger: Logger) {
    this.path = path
    this.bytes = bytes
    this.#logger = logger
  }

  get isThere(): boolean {
    return this.#size() >= this.bytes
  }

  /** It was given away and not made again since: an empty file stays as the sign, also for the next start. */
  get isSpent(): boolean {
    return existsSync(this.path) && this.#size() === 0
  }

  #size(): number {
    return existsSync(this.path) ? statSync(this.path).size : 0
  }

  /** Gives the space away, also that of one whose making a kill broke off. */
  release(): void {
    rmSync(this.#beside, { force: true })
    if (this.#size() === 0) return
    truncateSync(this.path)
    this.#logger.warn({ bytes: this.bytes }, 'The disk is full: the ballast file is given away to open the store.')
  }

  get #beside(): string {
    return `${this.path}.new`
  }

  /** Takes the space, a block at a time. Resolves when that is done, or could not be. */
  make(): Promise<void> {
    this.#making ??= this.#make()
      .catch((error: unknown) => {
        if (!this.#isStopped) this.#logger.warn({ error: String(error) }, 'The ballast file cannot be made now.')
      })
      .finally(() => {
        this.#making = undefined
      })
    return this.#making
  }

  async #make(): Promise<void> {
    const beside = this.#beside
    try {
      const block = randomFillSync(Buffer.allocUnsafe(blockBytes))
      const file = await open(beside, 'w')
      try {
        for (let at = 0; at < this.bytes; at += blockBytes) {
          if (this.#isStopped) throw new Error('the daemon stops')
          // A block that is like the one before would be stored once by some file systems.
          block.writeUInt32LE(at / blockBytes, 0)
          await file.write(block, 0, Math.min(blockBytes, this.bytes - at))
          if ((at + blockBytes) % syncBytes === 0) await file.datasync()
        }
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(beside, this.path)
    } catch (error) {
      await rm(beside, { force: true })
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#making
  }
}
