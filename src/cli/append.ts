import { createReadStream, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { asMillraceError, MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { note, printDone } from './output.js'
import { Progress } from './progress.js'

/** Lines of one request, and their bytes. */
const linesMax = 1000
const bytesMax = 1 << 20

export function registerAppend(program: Command): void {
  program
    .command('append <stream> [key] [value]')
    .description('append one record, or NDJSON lines {"key", "value", "time"?} from a file or standard input')
    .option('--file <file>', 'NDJSON file (default: standard input)')
    .action(
      async (
        stream: string,
        key: string | undefined,
        value: string | undefined,
        options: { file?: string },
        command: Command,
      ) => {
        const client = new Client(globals(command))
        const path = `streams/${encodeURIComponent(stream)}/records`
        const count =
          key === undefined ? await appendLines(client, path, options.file) : await one(client, path, key, value)
        const sentence = `appended ${count} record${count === 1 ? '' : 's'}`
        printDone(sentence, { appended: count }, globals(command).json)
      },
    )
}

interface Appended {
  readonly count: number
}

async function one(client: Client, path: string, key: string, value: string | undefined): Promise<number> {
  if (value === undefined) throw new MillraceError('USAGE', 'A record has a key and a value.')
  return (await client.call<Appended>('POST', path, { records: [{ key, value: jsonOrText(value) }] })).count
}

/** `5` is a number, `{"a":1}` an object, and what is no JSON a string. */
function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

async function appendLines(client: Client, path: string, file: string | undefined): Promise<number> {
  const progress = new Progress('appending', file === undefined ? undefined : sizeOf(file))
  const input = file === undefined ? process.stdin : createReadStream(file)
  if (file === undefined && process.stdin.isTTY)
    note('reading a record a line, {"key": ..., "value": ...}; Ctrl-D ends it')
  let lines: string[] = []
  let bytes = 0
  let firstLine = 1
  let line = 0
  let read = 0
  let count = 0
  const send = async () => {
    if (lines.some((text) => text.trim() !== '')) {
      try {
        const body = Buffer.from(lines.join('\n'))
        count += (await client.send<Appended>('POST', path, 'application/x-ndjson', body)).count
      } catch (error) {
        throw refused(error, { firstLine, lastLine: line, appended: count })
      }
    }
    lines = []
    bytes = 0
    firstLine = line + 1
    progress.update(read, count)
  }
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const size = Buffer.byteLength(text) + 1
      if (lines.length >= linesMax || (lines.length > 0 && bytes + size > bytesMax)) await send()
      line++
      read += size
      // Empty lines are sent too, so that the daemon's line numbers are those of the file.
      lines.push(text)
      bytes += size
    }
    await send()
  } finally {
    progress.stop()
  }
  return count
}

function sizeOf(file: string): number {
  try {
    const stat = statSync(file)
    if (stat.isFile()) return stat.size
  } catch (error) {
    throw new MillraceError('NOT_FOUND', `The file ${file} cannot be read: ${(error as Error).message}.`, {
      cause: error,
      remedy: 'Name an NDJSON file that exists.',
    })
  }
  throw new MillraceError('NOT_FOUND', `${file} is no file.`, { remedy: 'Name an NDJSON file.' })
}

/** Says what was appended before, so that the rest can be sent again. */
function refused(thrown: unknown, at: { firstLine: number; lastLine: number; appended: number }): MillraceError {
  const error = asMillraceError(thrown)
  const { firstLine, lastLine, appended } = at
  const state = error.outcome === 'unknown' ? 'may or may not have been appended' : 'were not appended'
  const before = `${appended} record${appended === 1 ? '' : 's'} before them were`
  // The daemon counts from the first line of its request.
  const line = typeof error.details.line === 'number' ? firstLine - 1 + error.details.line : undefined
  const message = line === undefined ? error.message : error.message.replace(/^Line \d+/, `Line ${line}`)
  return new MillraceError(error.code, `Lines ${firstLine} to ${lastLine} ${state} (${before}): ${message}`, {
    cause: error,
    remedy: error.remedy,
    outcome: error.outcome,
    details: { ...error.details, ...at, line },
  })
}
