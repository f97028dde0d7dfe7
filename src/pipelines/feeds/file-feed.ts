import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { NewRecord } from '../../log/index.js'
import type { FilesPlan } from '../../operators/index.js'
import { type ErrorCode, MillraceError } from '../../runtime/index.js'
import { sinkPath } from '../../sinks/index.js'
import { recordEnd } from './csv-record.js'
import type { Feed, FeedPart, FeedProgress, PartBounds } from './feed.js'
import { columnsOf, type LinesOf, recordOf } from './file-record.js'

/** Bytes that are read at once. */
const pieceBytes = 256 * 1024
/** Longest line, bytes: it must fit into a commit, beside the part that it comes with. */
const lineBytesMax = 4 * 1024 * 1024
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])
const lineFeed = 0x0a

/** Where the reading of files stands. */
export interface FileCursor {
  /** Of the list of files. */
  readonly file: number
  /** The first byte that was not read, and its line, counted from 1. */
  readonly offset: number
  readonly line: number
  /** Of a CSV file that was begun. */
  readonly columns?: readonly string[]
  /** The file that was begun: another under its name is told apart. */
  readonly inode?: number
}

export interface FileFeedOptions {
  readonly plan: FilesPlan
  /** Whole paths or such in `folder`, in the order in which they are read. */
  readonly paths: readonly string[]
  readonly folder: string
  readonly isOutsideAllowed: boolean
}

interface Opened {
  readonly file: number
  readonly handle: FileHandle
  readonly inode: number
  readonly size: number
  readonly of: Omit<LinesOf, 'columns'>
}

/** Lines, and where they end. */
interface Read {
  readonly records: readonly NewRecord[]
  readonly cursor: FileCursor
}

/** Reads files to their ends, one after the other, in pieces. */
export class FileFeed implements Feed<FileCursor> {
  readonly start: FileCursor = { file: 0, offset: 0, line: 1 }
  readonly #options: FileFeedOptions
  #opened: Opened | undefined
  /** Bytes of each file when the run began or went on. */
  #sizes: readonly number[] | undefined

  constructor(options: FileFeedOptions) {
    this.#options = options
  }

  async next(cursor: FileCursor, bounds: PartBounds): Promise<FeedPart<FileCursor>> {
    const { paths } = this.#options
    const path = paths[cursor.file]
    if (path === undefined) return { records: [], rows: [], cursor, isEnd: true }
    this.#sizes ??= await this.#sizesOf(paths)
    const opened = await this.#open(path, cursor)
    const read = await this.#lines(opened, cursor, bounds)
    if (read) return { ...read, rows: [], isEnd: false }
    await this.close()
    const file = cursor.file + 1
    return { records: [], rows: [], cursor: { file, offset: 0, line: 1 }, isEnd: file === paths.length }
  }

  progress({ file, offset }: FileCursor): FeedProgress | undefined {
    if (!this.#sizes) return undefined
    const before = this.#sizes.slice(0, file).reduce((sum, size) => sum + size, 0)
    return { read: before + offset, all: this.#sizes.reduce((sum, size) => sum + size, 0) }
  }

  async #sizesOf(paths: readonly string[]): Promise<number[]> {
    const sizes: number[] = []
    for (const path of paths)
      sizes.push(
        await stat(resolve(this.#options.folder, path)).then(
          ({ size }) => size,
          () => 0,
        ),
      )
    return sizes
  }

  async #open(path: string, cursor: FileCursor): Promise<Opened> {
    if (this.#opened?.file === cursor.file) return this.#opened
    await this.close()
    const { folder, isOutsideAllowed } = this.#options
    try {
      // Also where a link leads out of the folder.
      const real = await realpath(sinkPath(path, folder, isOutsideAllowed, 'The source file'))
      sinkPath(real, await realpath(folder), isOutsideAllowed, 'The source file')
      const { size, ino, mtimeMs } = await stat(real)
      if ((cursor.inode !== undefined && cursor.inode !== ino) || size < cursor.offset)
        throw failure(
          'SOURCE_FILE_CHANGED',
          `${path} is another file than the one that was read up to byte ${cursor.offset}.`,
        )
      const of = { path, time: Math.floor(mtimeMs) }
      this.#opened = { file: cursor.file, handle: await open(real, 'r'), inode: ino, size, of }
      return this.#opened
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw failure('SOURCE_FILE_CHANGED', `${path} cannot be read: ${(error as Error).message}.`)
    }
  }

  /** The next lines of a file; undefined at its end. */
  async #lines(opened: Opened, cursor: FileCursor, { recordsMax, bytesMax }: PartBounds): Promise<Read | undefined> {
    let bytes = await this.#piece(opened, cursor, Math.min(pieceBytes, bytesMax))
    if (bytes.length === 0) return undefined
    const lines = new Lines(this.#options.plan, opened, cursor)
    while (!lines.take(bytes, recordsMax)) {
      // Not one whole line: more of it, or its end without a line feed.
      if (bytes.length > lineBytesMax) throw lines.tooLong()
      const longer = await this.#piece(opened, cursor, bytes.length * 2)
      if (longer.length === bytes.length) {
        lines.takeLast(bytes)
        break
      }
      bytes = longer
    }
    return { records: lines.records, cursor: lines.cursor }
  }

  async #piece({ handle }: Opened, { offset }: FileCursor, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.handle.close()
  }
}

/** Cuts the bytes at a cursor into lines, and makes records of them. */
class Lines {
  readonly records: NewRecord[] = []
  readonly #plan: FilesPlan
  readonly #opened: Opened
  #offset: number
  #line: number
  #columns: readonly string[] | undefined

  constructor(plan: FilesPlan, opened: Opened, { offset, line, columns }: FileCursor) {
    this.#plan = plan
    this.#opened = opened
    this.#offset = offset
    this.#line = line
    this.#columns = columns
  }

  get cursor(): FileCursor {
    const { file, inode } = this.#opened
    const columns = this.#columns ? { columns: this.#columns } : {}
    return { file, offset: this.#offset, line: this.#line, ...columns, inode }
  }

  /** Takes whole lines, up to so many records. False where there is not one whole line. */
  take(bytes: Buffer, recordsMax: number): boolean {
    let at = 0
    while (this.records.length < recordsMax) {
      const end = this.#plan.format === 'csv' ? recordEnd(bytes, at) : bytes.indexOf(lineFeed, at)
      if (end < 0) break
      this.#take(bytes.subarray(at, end), 1)
      at = end + 1
    }
    return at > 0
  }

  /** What is left at the end of the file is a line as well. */
  takeLast(bytes: Buffer): void {
    this.#take(bytes, 0)
  }

  #take(line: Buffer, endBytes: number): void {
    // Pieces double, so one may hold a line that is nearly twice as long.
    if (line.length > lineBytesMax) throw this.tooLong()
    const isFirst = this.#offset === 0
    const from = isFirst && line.subarray(0, 3).equals(byteOrderMark) ? 3 : 0
    const text = line.subarray(from, line.at(-1) === 0x0d ? -1 : line.length)
    try {
      if (this.#plan.format === 'csv' && !this.#columns) this.#columns = columnsOf(text, this.#plan)
      else {
        const record = recordOf(text, this.#plan, { ...this.#opened.of, columns: this.#columns })
        if (record) this.records.push(record)
      }
    } catch (error) {
      throw this.malformed((error as Error).message)
    }
    this.#offset += line.length + endBytes
    this.#line += endBytes
    for (let at = line.indexOf(lineFeed); at >= 0; at = line.indexOf(lineFeed, at + 1)) this.#line++
  }

  tooLong(): MillraceError {
    return this.malformed(`it is longer than ${lineBytesMax} bytes`)
  }

  malformed(why: string): MillraceError {
    const { path } = this.#opened.of
    return failure(
      'SOURCE_FILE_INVALID',
      `Line ${this.#line} of ${path} is no ${this.#plan.format === 'csv' ? 'CSV' : 'JSON'}: ${why}.`,
    )
  }
}

const failure = (code: ErrorCode, message: string): MillraceError => new MillraceError(code, message)
