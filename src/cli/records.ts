import { createReadStream, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { note, printJson } from './output.js'
import { Progress } from './progress.js'
import { wholeNumber } from './whole-number.js'

/** Lines of one request. */
const linesMax = 1000
const bytesMax = 1 << 20
const pollMs = 10_000

interface Shard {
  readonly id: number
  readonly state: string
  readonly parents: readonly number[]
  readonly lowWatermark: number
  readonly newestSequence: number
}

interface Page {
  readonly records: readonly object[]
  readonly next: number
  readonly ended: boolean
}

export function registerRecords(program: Command): void {
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
        if (key !== undefined) {
          if (value === undefined) throw new MillraceError('USAGE', 'A record has a key and a value.')
          const answer = await client.call<{ count: number }>('POST', path, {
            records: [{ key, value: jsonOrText(value) }],
          })
          return report(answer.count, globals(command).json)
        }
        report(await appendLines(client, path, options.file), globals(command).json)
      },
    )

  program
    .command('tail <stream>')
    .description('print the records of a stream as NDJSON and follow it')
    .option('--from <where>', 'oldest or newest', 'newest')
    .option('--limit <n>', 'stop after this many records', wholeNumber)
    .option('--no-follow', 'stop at the end of what is there')
    .action(async (stream: string, options: { from: string; limit?: number; follow: boolean }, command: Command) => {
      if (options.from !== 'oldest' && options.from !== 'newest')
        throw new MillraceError('USAGE', '--from is oldest or newest.')
      await new Tail(new Client(globals(command)), stream, options).run()
    })
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function report(count: number, json: boolean): void {
  if (json) printJson({ appended: count })
  else note(`appended ${count} record${count === 1 ? '' : 's'}`)
}

async function appendLines(client: Client, path: string, file: string | undefined): Promise<number> {
  const input = file === undefined ? process.stdin : createReadStream(file)
  const progress = file === undefined ? undefined : new Progress('appending', statSync(file).size)
  let lines: string[] = []
  let bytes = 0
  let read = 0
  let count = 0
  const send = async () => {
    if (lines.length === 0) return
    const { text } = await client.send('POST', path, 'application/x-ndjson', Buffer.from(lines.join('\n')))
    count += (JSON.parse(text) as { count: number }).count
    lines = []
    bytes = 0
    progress?.update(read)
  }
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const size = Buffer.byteLength(line) + 1
    read += size
    if (line.trim() === '') continue
    if (lines.length >= linesMax || bytes + size > bytesMax) await send()
    lines.push(line)
    bytes += size
  }
  await send()
  progress?.stop()
  return count
}

/** Follows every shard; a child is begun only when all its parents are read to their ends. */
class Tail {
  readonly #client: Client
  readonly #path: string
  readonly #options: { readonly from: string; readonly limit?: number; readonly follow: boolean }
  readonly #next = new Map<number, number>()
  readonly #ended = new Set<number>()
  #printed = 0

  constructor(client: Client, stream: string, options: { from: string; limit?: number; follow: boolean }) {
    this.#client = client
    this.#path = `streams/${encodeURIComponent(stream)}`
    this.#options = options
  }

  async run(): Promise<void> {
    let shards = await this.#shards()
    for (const shard of shards) {
      if (this.#options.from === 'oldest') this.#next.set(shard.id, shard.lowWatermark)
      else if (shard.state === 'sealed') this.#ended.add(shard.id)
      else this.#next.set(shard.id, shard.newestSequence + 1)
    }
    for (;;) {
      const known = new Set(shards.map((shard) => shard.id))
      const readable = shards.filter(
        (shard) =>
          !this.#ended.has(shard.id) && shard.parents.every((parent) => !known.has(parent) || this.#ended.has(parent)),
      )
      let progress = false
      for (const shard of readable) {
        const isLast = readable.length === 1 && this.#options.follow
        if (await this.#read(shard, isLast ? pollMs : 0)) progress = true
        if (this.#printed >= (this.#options.limit ?? Number.POSITIVE_INFINITY)) return
      }
      if (!progress) {
        if (!this.#options.follow) return
        if (readable.length !== 1) await new Promise((resolve) => setTimeout(resolve, 200))
      }
      shards = await this.#shards()
    }
  }

  async #shards(): Promise<Shard[]> {
    return (await this.#client.call<{ shards: Shard[] }>('GET', `${this.#path}/shards`)).shards
  }

  async #read(shard: Shard, wait: number): Promise<boolean> {
    const from = this.#next.get(shard.id) ?? shard.lowWatermark
    const left = (this.#options.limit ?? Number.POSITIVE_INFINITY) - this.#printed
    const page = await this.#client.call<Page>(
      'GET',
      `${this.#path}/records?shard=${shard.id}&from=${from}&limit=${Math.min(1000, left)}&wait=${wait}`,
    )
    for (const record of page.records) printJson(record)
    this.#printed += page.records.length
    this.#next.set(shard.id, page.next)
    if (page.ended) this.#ended.add(shard.id)
    return page.records.length > 0 || page.ended
  }
}
