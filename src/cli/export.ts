import { closeSync, createWriteStream, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { Command } from 'commander'
import type { ExportShard } from '../log/index.js'
import { answeredError, MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { LastLine } from './last-line.js'
import { printJson } from './output.js'
import { dateMs } from './places.js'
import { Progress } from './progress.js'
import { wholeNumber } from './whole-number.js'

/** No error is longer; a record may be. */
const errorBytesMax = 64 * 1024

const formats = ['ndjson', 'chunks']

interface ExportOptions {
  readonly from?: number
  readonly until?: number
  readonly fromTime?: string
  readonly untilTime?: string
  readonly resume?: string
  readonly format: string
  readonly file?: string
}

export function registerExport(program: Command): void {
  program
    .command('export <stream>')
    .description('write every record of a range to standard output or a file, parents before children')
    .option('--from <sequence>', 'the first sequence number (default: the oldest that is kept)', wholeNumber)
    .option('--until <sequence>', 'the sequence number behind the last (default: what is there now)', wholeNumber)
    .option('--from-time <time>', 'in place of --from: a commit time, ISO 8601 or milliseconds since 1970')
    .option('--until-time <time>', 'in place of --until')
    .option(
      '--resume <shard:sequence>',
      'go on where an export that broke off says; with the --until it says, and its beginning',
    )
    .option('--format <name>', 'ndjson, or chunks: the bytes as they lie in the log, several times faster', 'ndjson')
    .option('--file <file>', 'write to this file; it appears when it is whole, and is FILE.partial when it broke off')
    .action(async (stream: string, options: ExportOptions, command: Command) => {
      if (!formats.includes(options.format))
        throw new MillraceError('USAGE', `--format is ndjson or chunks, not ${options.format}.`)
      const client = new Client(globals(command))
      const query = new URLSearchParams()
      if (options.from !== undefined) query.set('from', String(options.from))
      if (options.until !== undefined) query.set('until', String(options.until))
      if (options.fromTime !== undefined) query.set('fromTime', String(timeOf(options.fromTime)))
      if (options.untilTime !== undefined) query.set('untilTime', String(timeOf(options.untilTime)))
      if (options.resume !== undefined) query.set('resume', options.resume)
      const path = `streams/${encodeURIComponent(stream)}/export?${query}`
      const output = new ExportOutput(options.file)
      const write = options.format === 'ndjson' ? writeLines : writeChunks
      try {
        await write(client, path, output)
        await output.finish()
        if (options.file !== undefined && globals(command).json) printJson({ file: options.file })
      } catch (error) {
        const isGood = error instanceof MillraceError && error.details.resume !== undefined
        await (isGood ? output.keep() : output.drop())
        throw error
      }
    })
}

/** Milliseconds since 1970. Throws USAGE. */
function timeOf(text: string): number {
  const time = /^\d+$/.test(text) ? Number(text) : dateMs(text)
  if (time === undefined || !Number.isSafeInteger(time) || time < 0)
    throw new MillraceError('USAGE', `${text} is no time.`, { remedy: 'Give one like 2026-01-31T12:00:00Z.' })
  return time
}

async function writeLines(client: Client, path: string, output: ExportOutput): Promise<void> {
  const progress = new Progress('exporting', undefined)
  let bytes = 0
  let records = 0
  try {
    // The last line is held back: it may say what broke the export off.
    const last = new LastLine()
    for await (const piece of client.receive(path, 'application/x-ndjson')) {
      const before = last.push(piece)
      if (before.length > 0) await output.write(before)
      bytes += piece.length
      for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) records++
      progress.update(bytes, records)
    }
    const error = answeredError(last.line.toString('utf8', 0, errorBytesMax))
    if (error) throw error
    if (last.line.length > 0) await output.write(last.line)
  } finally {
    progress.stop()
  }
}

/** Checks every chunk on its way, and that the end came. */
async function writeChunks(client: Client, path: string, output: ExportOutput): Promise<void> {
  const { ExportReader, readChunkHeader } = await import('../log/index.js')
  const reader = new ExportReader()
  const shards = new Map<number, ExportShard>()
  const progress = new Progress('exporting', undefined, 'MiB')
  let bytes = 0
  try {
    for await (const piece of client.receive(path, 'application/octet-stream')) {
      for (const part of reader.push(piece)) {
        if (part.kind === 'head') for (const shard of part.head.shards) shards.set(shard.id, shard)
        else if (part.kind === 'chunk' && !shards.has(readChunkHeader(part.chunk).shard))
          throw new MillraceError('FORMAT_INVALID', 'The daemon sent a chunk of a shard that it did not announce.')
      }
      await output.write(piece)
      bytes += piece.length
      progress.update(bytes, Math.floor(bytes / 2 ** 20))
    }
    reader.finish()
  } finally {
    progress.stop()
  }
}

/** Standard output, or a file that gets its name when all of it is on the disk. */
class ExportOutput {
  readonly #file: string | undefined
  readonly #stream: Writable
  #error: Error | undefined

  constructor(file: string | undefined) {
    this.#file = file
    this.#stream = file === undefined ? process.stdout : createWriteStream(`${file}.partial`)
    this.#stream.on('error', (error) => {
      this.#error = error
    })
  }

  async write(piece: Buffer): Promise<void> {
    this.#check()
    if (this.#stream.write(piece)) return
    await new Promise<void>((resolve) => {
      this.#stream.once('drain', resolve)
      this.#stream.once('close', resolve)
    })
    this.#check()
  }

  #check(): void {
    if (this.#error) {
      throw new MillraceError(
        'IO_FAILED',
        `${this.#file ?? 'Standard output'} cannot be written: ${this.#error.message}.`,
      )
    }
  }

  async finish(): Promise<void> {
    if (this.#file === undefined) return
    await new Promise<void>((resolve) => this.#stream.end(resolve))
    this.#check()
    const partial = openSync(`${this.#file}.partial`, 'r')
    fsyncSync(partial)
    closeSync(partial)
    renameSync(`${this.#file}.partial`, this.#file)
  }

  /** What came is good, and not all: it stays under the name of what is not whole. */
  async keep(): Promise<void> {
    if (this.#file !== undefined) await new Promise<void>((resolve) => this.#stream.end(resolve))
  }

  drop(): void {
    if (this.#file === undefined) return
    this.#stream.destroy()
    rmSync(`${this.#file}.partial`, { force: true })
  }
}
