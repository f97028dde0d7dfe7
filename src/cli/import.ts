import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import {
  Codec,
  ExportReader,
  type ExportShard,
  encodeBatch,
  forEachRecord,
  type NewRecord,
  RecordKind,
  readChunkHeader,
} from '../log/index.js'
import { asMillraceError, hashKey, MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { printDone } from './output.js'
import { Progress } from './progress.js'
import { wholeNumber } from './whole-number.js'

/** Records of one request. */
const requestBytesMax = 1 << 20
const requestRecordsMax = 10_000

interface ImportOptions {
  readonly file?: string
  readonly skip?: number
}

export function registerImport(program: Command): void {
  program
    .command('import <stream>')
    .description('append what `export` wrote of a plain stream, in either format, to a plain stream')
    .option('--file <file>', 'the export (default: standard input)')
    .option('--skip <n>', 'leave out the first records: those that an import which broke off has done', wholeNumber)
    .action(async (stream: string, options: ImportOptions, command: Command) => {
      const client = new Client(globals(command))
      const path = `streams/${encodeURIComponent(stream)}`
      const { kind } = await client.call<{ kind: string }>('GET', path)
      if (kind === 'table') {
        throw new MillraceError('CONFLICT', `${stream} is the change log of a table.`, {
          remedy: 'Import into a plain stream.',
        })
      }
      const target = new ImportTarget(client, `${path}/records`, options.skip ?? 0)
      await importAll(options.file, target)
      const { imported } = target
      printDone(
        `imported ${imported} record${imported === 1 ? '' : 's'}`,
        { imported, skipped: target.skipped },
        globals(command).json,
      )
    })
}

async function importAll(file: string | undefined, target: ImportTarget): Promise<void> {
  const input: Readable = file === undefined ? process.stdin : createReadStream(file)
  const progress = new Progress('importing', undefined)
  let bytes = 0
  input.on('data', (piece: Buffer) => {
    bytes += piece.length
  })
  target.onSent = () => progress.update(bytes, target.imported)
  try {
    await importFrom(input, target)
    await target.flush()
  } catch (error) {
    throw target.brokenOff(unreadable(error, file))
  } finally {
    progress.stop()
  }
}

/** What the system says of the input, as one of our errors. */
function unreadable(error: unknown, file: string | undefined): MillraceError {
  if (error instanceof MillraceError || (error as NodeJS.ErrnoException).syscall === undefined)
    return asMillraceError(error)
  return new MillraceError('NOT_FOUND', `${file} cannot be read: ${(error as Error).message}.`, {
    cause: error,
    remedy: 'Name a file that `millrace export` wrote.',
  })
}

/** An export of chunks begins with `MRX1`; anything else is NDJSON. */
async function importFrom(input: Readable, target: ImportTarget): Promise<void> {
  const pieces = input[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>
  const first = await pieces.next()
  if (first.done) return
  const all = async function* (): AsyncGenerator<Buffer, void, void> {
    yield first.value
    yield* pieces
  }
  if (first.value.subarray(0, 4).toString() === 'MRX1') await importChunks(all(), target)
  else await importLines(all(), target)
}

async function importChunks(pieces: AsyncIterable<Buffer>, target: ImportTarget): Promise<void> {
  const reader = new ExportReader()
  const shards = new Map<number, ExportShard>()
  for await (const piece of pieces) {
    for (const part of reader.push(piece)) {
      if (part.kind === 'head') {
        if (part.head.kind === 'table') throw notImportable(part.head.stream)
        for (const shard of part.head.shards) shards.set(shard.id, shard)
      } else if (part.kind === 'chunk') {
        const range = shards.get(readChunkHeader(part.chunk).shard)
        if (!range)
          throw new MillraceError('FORMAT_INVALID', 'The export has a chunk of a shard that its head does not name.')
        const records: NewRecord[] = []
        forEachRecord(part.chunk, range.from, (record) => {
          if (record.sequence >= range.until) return false
          records.push(record)
          return true
        })
        for (const record of records) await target.add(record)
      }
    }
  }
  reader.finish()
}

const notImportable = (stream: string): MillraceError =>
  new MillraceError('UNSUPPORTED', `This is an export of ${stream}, the change log of a table.`, {
    remedy: 'Exports of plain streams can be imported; a table comes back with `millrace restore`.',
  })

async function importLines(pieces: AsyncIterable<Buffer>, target: ImportTarget): Promise<void> {
  const { Readable: Lines } = await import('node:stream')
  let line = 0
  const now = Date.now()
  for await (const text of createInterface({ input: Lines.from(pieces), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text.trim() !== '') await target.add(recordOf(text, line, now))
  }
}

/** A line of an export or of a person: {key, value or bytes (base64), time?, ...}. */
function recordOf(text: string, line: number, now: number): NewRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MillraceError('BAD_REQUEST', `Line ${line} is not JSON: ${(error as Error).message}.`, {
      details: { line },
    })
  }
  const record = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if ('type' in record && 'keys' in record) throw notImportable('a table')
  const { key, bytes, time = now } = record
  const hasBytes = typeof bytes === 'string'
  if (typeof key !== 'string' || !(hasBytes || record.value !== undefined) || !Number.isSafeInteger(time)) {
    throw new MillraceError('BAD_REQUEST', `Line ${line} is not a record: it needs a key and a value.`, {
      details: { line },
    })
  }
  const keyBytes = Buffer.from(key)
  return {
    hash: hashKey(keyBytes),
    kind: RecordKind.append,
    flags: 0,
    codec: hasBytes ? Codec.raw : Codec.json,
    time: time as number,
    key: keyBytes,
    body: hasBytes ? Buffer.from(bytes, 'base64') : Buffer.from(JSON.stringify(record.value)),
  }
}

/** Sends records in their order, one request after the other. */
class ImportTarget {
  imported = 0
  skipped = 0
  onSent: () => void = () => {}
  readonly #client: Client
  readonly #path: string
  readonly #skip: number
  #records: NewRecord[] = []
  #bytes = 0
  /** Records of the request whose answer has not come. */
  #sending = 0

  constructor(client: Client, path: string, skip: number) {
    this.#client = client
    this.#path = path
    this.#skip = skip
  }

  async add(record: NewRecord): Promise<void> {
    if (this.skipped < this.#skip) {
      this.skipped++
      return
    }
    const bytes = record.key.length + record.body.length + 32
    if (this.#records.length >= requestRecordsMax || (this.#bytes > 0 && this.#bytes + bytes > requestBytesMax))
      await this.flush()
    this.#records.push(record)
    this.#bytes += bytes
  }

  /** What ended the import, with how far it had come: input that is damaged in its middle breaks it off, too. */
  brokenOff(error: MillraceError): MillraceError {
    const done = this.skipped + this.imported
    if (done === 0 && this.#sending === 0) return error
    const state = error.outcome === 'unknown' ? 'may or may not have been' : 'were not'
    const next = this.#sending > 0 ? `; the next ${this.#sending} ${state}` : ''
    return new MillraceError(error.code, `${done} records are imported${next}: ${error.message}`, {
      cause: error,
      outcome: error.outcome,
      remedy: `${error.remedy} Go on with --skip ${done}.`,
      details: { ...error.details, imported: done },
    })
  }

  async flush(): Promise<void> {
    if (this.#records.length === 0) return
    this.#sending = this.#records.length
    await this.#client.send('POST', this.#path, 'application/octet-stream', encodeBatch(this.#records))
    this.#sending = 0
    this.imported += this.#records.length
    this.#records = []
    this.#bytes = 0
    this.onSent()
  }
}
