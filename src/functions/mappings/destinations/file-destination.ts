import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder, syncFolder } from '../../../runtime/index.js'
import { diskError } from '../../disk-error.js'
import type { Destination, FailureDocument } from './destination.js'

const newline = 10

/** Files by their paths: several mappings may share one, and write one line at a time. */
export class DestinationFiles {
  readonly #files = new Map<string, SharedFile>()

  at(path: string): Destination {
    let file = this.#files.get(path)
    if (!file) {
      file = new SharedFile(path)
      this.#files.set(path, file)
    }
    return file
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.end()))
  }
}

/** Appends a document as a line; it is on the disk when the delivery resolves. */
class SharedFile implements Destination {
  readonly #path: string
  #file: FileHandle | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  deliver({ withPayload }: FailureDocument): Promise<void> {
    const written = this.#last.then(() => this.#append(withPayload))
    this.#last = written.catch(() => {})
    return written
  }

  async #append(document: Buffer): Promise<void> {
    let size: number | undefined
    try {
      this.#file ??= await this.#open()
      size = (await this.#file.stat()).size
      await this.#file.appendFile(Buffer.concat([document, Buffer.from([newline])]))
      await this.#file.datasync()
    } catch (error) {
      // Nobody knows how much of the line is there: it is taken back, or the next opening ends it.
      if (size !== undefined) await this.#file?.truncate(size).catch(() => {})
      await this.#file?.close().catch(() => {})
      this.#file = undefined
      throw diskError(this.#path, error)
    }
  }

  async #open(): Promise<FileHandle> {
    makeFolder(dirname(this.#path))
    const file = await open(this.#path, 'a+')
    try {
      const { size } = await file.stat()
      if (size === 0) syncFolder(dirname(this.#path))
      else {
        // A kill may have cut a line: what follows must not be taken for its end.
        const last = Buffer.alloc(1)
        await file.read(last, 0, 1, size - 1)
        if (last[0] !== newline) await file.appendFile('\n')
      }
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** A mapping lets go of it: others may still write. */
  async close(): Promise<void> {}

  async end(): Promise<void> {
    await this.#last
    await this.#file?.close()
    this.#file = undefined
  }
}
