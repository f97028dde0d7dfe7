import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import {
  Codec,
  ExportReader,
  type ExportShard,
  forEachRecord,
  type NewRecord,
  parseShape,
  RecordKind,
  readChunkHeader,
} from '../log/index.js'
import { asMillraceError, hashKey, MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { ImportTarget, type Resumed } from './import-target.js'
import { printDone } from './output.js'
import { Progress } from './progress.js'
import { wholeNumber } from './whole-number.js'

const retryMsDefault = 120_000

interface ImportOptions {
  readonly file?: string
  readonly skip?: number
  readonly resume?: Resumed
  readonly retryMs: number
}

export function registerImport(program: Command): void {
  program
    .command('import <stream>')
    .description('append what `export` wrote of a plain stream, in either format, to a plain stream')
    .option('--file <file>', 'the export (default: standard input)')
    .option('--skip <n>', 'leave out the first records: those that an import which broke off has done', wholeNumber)
    .option('--resume <producer:batch>', 'finish the request that an import which broke off names', resumedOf)
    .option('--retry-ms <n>', 'how long to send a request again that is not answered', wholeNumber, retryMsDefault)
    .action(async (stream: string, options: ImportOptions, command: Command) => {
      const client = new Client(globals(command))
      const path = `streams/${encodeURIComponent(stream)}`
      const { kind } = await client.call<{ kind: string }>('GET', path)
      if (kind === 'table') {
        throw new MillraceError('CONFLICT', `${stream} is the change log of a table.`, {
          remedy: 'Import into a plain stream.',
        })
      }
      const { skip = 0, resume: resumed, retryMs, file } = options
      const progress = new Progress('importing', undefined)
      let bytes = 0
      const onSent = () => progress.update(bytes, target.imported)
      const target = new ImportTarget({ client, path, skip, resumed, retryMs, onSent })
      try {
        await importAll(file, target, (piece) => {
          bytes += piece
        })
      } finally {
        progress.stop()
        await target.close()
      }
      const { imported } = target
      printDone(
        `imported ${imported} record${imported === 1 ? '' : 's'}`,
        { imported, skipped: target.skipped },
        globals(command).json,
      )
    })
}

/** `producer:batch`. Throws USAGE. */
function resumedOf(text: string): Resumed {
  const [, producer, batch] = /^([1-9]\d*):([1-9]\d*)$/.exec(text) ?? []
  if (producer === undefined || batch === undefined)
    throw new MillraceError('USAGE', `--resume is producer:batch, not ${text}.`, {
      remedy: 'Take it from the message of the import that broke off.',
    })
  return { producer: Number(producer), batch: Number(batch) }
}

async function importAll(file: string | undefined, target: ImportTarget, onRead: (bytes: number) => void) {
  const input: Readable = file === undefined ? process.stdin : createReadStream(file)
  input.on('data', (piece: Buffer) => onRead(piece.length))
  try {
    await importFrom(input, target)
    await target.flush()
  } catch (error) {
    throw target.brokenOff(unreadable(error, file))
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
        target.learn((part.head.shapes ?? []).map(parseShape))
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
