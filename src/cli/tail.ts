import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { printJson } from './output.js'
import { wholeNumber } from './whole-number.js'

/** Longest wait of one request, when there is a single shard to wait for. */
const pollMs = 10_000
/** Between two looks at several shards that have nothing. */
const pauseMs = 200
const recordsAtOnce = 1000

interface TailOptions {
  readonly from: string
  readonly limit?: number
  readonly follow: boolean
}

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

export function registerTail(program: Command): void {
  program
    .command('tail <stream>')
    .description('print the records of a stream (a table: table:NAME) as NDJSON and follow it')
    .option('--from <where>', 'oldest or newest', 'newest')
    .option('--limit <n>', 'stop after this many records', wholeNumber)
    .option('--no-follow', 'stop at the end of what is there')
    .action(async (stream: string, options: TailOptions, command: Command) => {
      if (options.from !== 'oldest' && options.from !== 'newest')
        throw new MillraceError('USAGE', '--from is oldest or newest.')
      await new Tail(new Client(globals(command)), stream, options).run()
    })
}

/** Follows every shard; a child is begun only when all its parents are read to their ends. */
class Tail {
  readonly #client: Client
  readonly #path: string
  readonly #options: TailOptions
  readonly #next = new Map<number, number>()
  readonly #ended = new Set<number>()
  #left: number

  constructor(client: Client, stream: string, options: TailOptions) {
    this.#client = client
    this.#path = `streams/${encodeURIComponent(stream)}`
    this.#options = options
    this.#left = options.limit ?? Number.POSITIVE_INFINITY
  }

  async run(): Promise<void> {
    let shards = await this.#shards()
    for (const shard of shards) {
      if (this.#options.from === 'oldest') this.#next.set(shard.id, shard.lowWatermark)
      else if (shard.state === 'sealed') this.#ended.add(shard.id)
      else this.#next.set(shard.id, shard.newestSequence + 1)
    }
    while (this.#left > 0) {
      const readable = this.#readable(shards)
      const waitMs = readable.length === 1 && this.#options.follow ? pollMs : 0
      let isIdle = true
      for (const shard of readable) {
        if (this.#left > 0 && (await this.#read(shard, waitMs))) isIdle = false
      }
      if (isIdle && !this.#options.follow) return
      if (isIdle && waitMs === 0) await sleep(pauseMs)
      shards = await this.#shards()
    }
  }

  #readable(shards: readonly Shard[]): readonly Shard[] {
    const known = new Set(shards.map((shard) => shard.id))
    return shards.filter(
      (shard) =>
        !this.#ended.has(shard.id) && shard.parents.every((parent) => !known.has(parent) || this.#ended.has(parent)),
    )
  }

  async #shards(): Promise<readonly Shard[]> {
    return (await this.#client.call<{ shards: Shard[] }>('GET', `${this.#path}/shards`)).shards
  }

  /** Prints a page; true when there was something. */
  async #read(shard: Shard, waitMs: number): Promise<boolean> {
    const from = this.#next.get(shard.id) ?? shard.lowWatermark
    const limit = Math.min(recordsAtOnce, this.#left)
    const query = `shard=${shard.id}&from=${from}&limit=${limit}&wait=${waitMs}`
    const page = await this.#client.call<Page>('GET', `${this.#path}/records?${query}`)
    for (const record of page.records) printJson(record)
    this.#left -= page.records.length
    this.#next.set(shard.id, page.next)
    if (page.ended) this.#ended.add(shard.id)
    return page.records.length > 0 || page.ended
  }
}
