import { setTimeout as sleep } from 'node:timers/promises'
import { DaemonProcess } from '../daemon-process.js'
import type { Random } from '../simulation/random.js'
import { type Broker, startBroker } from './broker.mjs'
import { eachCommitted } from './java-reader.js'
import { type KafkaProxy, randomFaults } from './proxy.js'

const stream = 'chaos'
/** Appends that are on their way at once. */
const writers = 2
/** A bridge that delivers nothing for so long, with everything mended, never will. */
const standstillMsMax = 300_000

interface BridgeView {
  readonly state: { readonly kind: string }
  readonly statistics: { readonly records: number; readonly lagRecords: number }
}

/** What an independent consumer found of a bridge. */
export interface Findings {
  readonly records: number
  /** Of the records, those that came as dead letters. */
  readonly letters: number
  readonly lost: number
  readonly duplicated: number
  readonly disordered: number
  /** Messages whose content is not that of the record. */
  readonly wrong: number
}

export interface ChaosOptions {
  readonly proxy: KafkaProxy
  readonly broker: Broker
  readonly data: string
  readonly random: Random
  /** What each bridge out is asked for, by its name, which is that of its topic too. */
  readonly bridges: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** The topic of each bridge in and what else it is asked for, by its name, which is that of its stream too. */
  readonly intakes?: Readonly<Record<string, { readonly topic: string } & Readonly<Record<string, unknown>>>>
  readonly keys?: number
  readonly batch?: number
  /** Each so-manieth record is oversized: its body has about so many bytes. */
  readonly oversized?: { readonly every: number; readonly bytes: number }
  /** Of how many faults how many records are written; without, as many as come until the end. */
  readonly pace?: { readonly faults: number; readonly records: number }
}

/** A broker behind a proxy, whose address it tells its clients. */
export async function startBrokerBehind(proxy: KafkaProxy, version?: string): Promise<Broker> {
  const broker = await startBroker({ advertised: proxy.address, ...(version === undefined ? {} : { version }) })
  proxy.target = Number(broker.address.split(':')[1])
  return broker
}

/** A bridge to a topic that takes messages of so many bytes at most; what is larger becomes dead letters. */
export const withLimit = (bytes: number) => ({
  format: 'image',
  refused: 'dead-letter',
  topicConfig: { 'max.message.bytes': String(bytes) },
})

/** A daemon that is written to and mirrored to Kafka while it, the broker and what is between them fail. */
export class ChaosWorld {
  readonly #options: ChaosOptions
  #daemon: DaemonProcess | undefined
  #isOver = false
  #writing: Promise<unknown> = Promise.resolve()
  #begun = 0
  /** Numbers whose append was answered. */
  readonly #acknowledged: number[] = []
  /** Of everything that was done to it. */
  readonly faults: string[] = []

  constructor(options: ChaosOptions) {
    this.#options = options
  }

  get acknowledged(): number {
    return this.#acknowledged.length
  }

  get daemon(): DaemonProcess {
    if (!this.#daemon) throw new Error('the daemon is not running')
    return this.#daemon
  }

  async start(): Promise<void> {
    await this.#startDaemon()
    await this.daemon.v1('POST', 'streams', { name: stream, shards: 2 })
    const { bridges, intakes = {}, proxy } = this.#options
    const brokers = [proxy.address]
    for (const [name, options] of Object.entries(bridges))
      await this.daemon.v1('POST', 'bridges', { name, source: stream, brokers, topic: name, partitions: 4, ...options })
    this.#writing = Promise.all(Array.from({ length: writers }, () => this.#write()))
    for (const name of Object.keys(bridges)) await this.#delivering(name)
    for (const [name, options] of Object.entries(intakes)) {
      await this.daemon.v1('POST', 'streams', { name })
      await this.daemon.v1('POST', 'bridges', { direction: 'in', name, into: `stream:${name}`, brokers, ...options })
    }
    for (const name of Object.keys(intakes)) await this.#delivering(name)
  }

  async #startDaemon(): Promise<void> {
    this.#daemon = await DaemonProcess.start({ data: this.#options.data, env: { MILLRACE_SPLIT_ENABLED: 'false' } })
  }

  /** Appends until the end; what is not answered because the daemon is gone may be there or not. */
  async #write(): Promise<void> {
    const { keys = 50, batch = 20 } = this.#options
    while (!this.#isOver) {
      const daemon = this.#daemon
      if (this.acknowledged >= this.#allowed()) {
        await sleep(5)
        continue
      }
      const numbers = Array.from({ length: batch }, () => this.#begun++)
      const records = numbers.map((n) => ({ key: `key-${n % keys}`, value: this.#bodyOf(n) }))
      try {
        if (!daemon) await sleep(20)
        else {
          await daemon.v1('POST', `streams/${stream}/records`, { records })
          this.#acknowledged.push(...numbers)
          await sleep(5)
        }
      } catch {
        await sleep(20)
      }
    }
  }

  #isOversized(n: number): boolean {
    const { oversized } = this.#options
    return oversized !== undefined && n % oversized.every === 0
  }

  #bodyOf(n: number): object {
    return this.#isOversized(n) ? { n, filler: 'x'.repeat(this.#options.oversized?.bytes ?? 0) } : { n }
  }

  #allowed(): number {
    const { pace } = this.#options
    return pace ? (pace.records * (this.faults.length + 1)) / pace.faults : Number.POSITIVE_INFINITY
  }

  /** One fault, chosen by the seed, and what mends it. */
  async fault(kinds: readonly FaultName[] = faultNames): Promise<void> {
    const kind = this.#options.random.pick(kinds)
    this.faults.push(kind)
    await this.#doing[kind]()
    await sleep(this.#options.random.below(300))
  }

  readonly #doing: Readonly<Record<FaultName, () => Promise<void>>> = {
    network: async () => {
      const { proxy, random } = this.#options
      const until = proxy.made + 2 + random.below(4)
      proxy.decide = randomFaults(random, 0.1)
      while (proxy.made < until) await sleep(20)
      proxy.decide = undefined
    },
    cut: async () => this.#options.proxy.cutAll(),
    killDaemon: () => this.#restartDaemon(),
    killBroker: () => this.#restartBroker(),
    killBoth: async () => {
      await Promise.all([this.#restartDaemon(), this.#restartBroker()])
    },
    split: async () => {
      const { shards } = await this.daemon.v1<{ shards: { id: number; state: string }[] }>(
        'GET',
        `streams/${stream}/shards`,
      )
      const open = shards.filter(({ state }) => state === 'open')
      if (open.length > 12) return
      await this.daemon.v1('POST', `streams/${stream}/shards/${this.#options.random.pick(open).id}/split`, {})
    },
  }

  async #restartDaemon(): Promise<void> {
    const daemon = this.daemon
    this.#daemon = undefined
    await daemon.kill()
    await this.#startDaemon()
  }

  async #restartBroker(): Promise<void> {
    await this.#options.broker.kill()
    await this.#options.broker.start()
  }

  /** Waits until so many appends were answered. */
  async written(records: number): Promise<void> {
    while (this.acknowledged < records) await sleep(20)
  }

  /** Stops writing and waits until every bridge has delivered everything. */
  async settle(): Promise<void> {
    this.#options.proxy.decide = undefined
    this.#isOver = true
    await this.#writing
    const { bridges, intakes = {} } = this.#options
    for (const name of [...Object.keys(bridges), ...Object.keys(intakes)]) await this.#caughtUp(name)
    // What a bridge in knows of the end of its topic is as old as its last fetch.
    for (const name of Object.keys(intakes)) {
      for (
        const deadline = Date.now() + standstillMsMax;
        (await this.checkIntake(name)).lost > 0 && Date.now() < deadline;
      )
        await sleep(200)
    }
  }

  async #delivering(name: string): Promise<void> {
    while ((await this.#bridge(name)).statistics.records === 0) await sleep(20)
  }

  #bridge(name: string): Promise<BridgeView> {
    return this.daemon.v1<BridgeView>('GET', `bridges/${name}`)
  }

  async #caughtUp(name: string): Promise<void> {
    let moved = { at: Date.now(), records: -1 }
    for (;;) {
      const { state, statistics } = await this.#bridge(name)
      if (state.kind === 'running' && statistics.lagRecords === 0) return
      if (statistics.records !== moved.records) moved = { at: Date.now(), records: statistics.records }
      if (state.kind === 'failed' || Date.now() > moved.at + standstillMsMax)
        throw new Error(`the bridge ${name} does not catch up: ${JSON.stringify({ state, statistics })}`)
      await sleep(50)
    }
  }

  /**
   * What the log has, against what Kafka's own consumer reads of the topic of a bridge out; of one with dead letters, against both together:
   * all oversized records are letters, and no others.
   */
  async checkTopic(name: string): Promise<Findings> {
    const hasLetters = this.#options.bridges[name]?.refused === 'dead-letter'
    const counting = new Counting(await this.#log(), (n) => hasLetters && this.#isOversized(n))
    await eachCommitted(this.#options.proxy.address, name, ({ key, sequence, value }) =>
      counting.take(key, sequence, value === undefined ? undefined : JSON.parse(value)),
    )
    if (hasLetters)
      await eachStored<Letter>(this.daemon, `${name}.dead-letters`, ({ value: { key, sequence, value } }) =>
        counting.takeLetter(key, sequence, JSON.parse(value)),
      )
    return counting.findings()
  }

  /** How many records of the log are oversized. */
  async oversized(): Promise<number> {
    return [...(await this.#log()).values()].filter(({ n }) => this.#isOversized(n)).length
  }

  /** The same against what a bridge in has stored of the envelopes of a topic. */
  async checkIntake(name: string): Promise<Findings> {
    const counting = new Counting(await this.#log())
    await eachStored<Content>(this.daemon, name, ({ key, value }) => counting.take(key, value.source?.sequence, value))
    return counting.findings()
  }

  /** Acknowledged appends that the log does not have. */
  async lostAppends(): Promise<number> {
    const stored = new Set([...(await this.#log()).values()].map(({ n }) => n))
    return this.#acknowledged.filter((n) => !stored.has(n)).length
  }

  #inLog: Promise<Map<number, { readonly key: string; readonly n: number }>> | undefined

  #log(): Promise<Map<number, { readonly key: string; readonly n: number }>> {
    this.#inLog ??= logOf(this.daemon)
    return this.#inLog
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#daemon?.kill()
    await this.#writing
  }
}

export const faultNames = ['network', 'cut', 'killDaemon', 'killBroker', 'killBoth', 'split'] as const
export type FaultName = (typeof faultNames)[number]

/** Every record of the stream by its sequence number. */
async function logOf(daemon: DaemonProcess): Promise<Map<number, { readonly key: string; readonly n: number }>> {
  const records = new Map<number, { readonly key: string; readonly n: number }>()
  await eachStored<{ n: number }>(daemon, stream, ({ sequence, key, value: { n } }) =>
    records.set(sequence, { key, n }),
  )
  return records
}

interface Stored<T> {
  readonly sequence: number
  readonly key: string
  readonly value: T
}

async function eachStored<T>(daemon: DaemonProcess, name: string, visit: (record: Stored<T>) => void): Promise<void> {
  const response = await fetch(`${daemon.url}/v1/streams/${name}/export`, {
    headers: { accept: 'application/x-ndjson', 'x-millrace': '1' },
  })
  let rest = ''
  const decoder = new TextDecoder()
  for await (const piece of response.body as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) visit(JSON.parse(line) as Stored<T>)
  }
}

/** A body as it is, or the envelope around it. */
interface Content {
  readonly n?: number
  readonly after?: { readonly n: number }
  readonly source?: { readonly sequence: number }
}

/** What is read of a dead letter. */
interface Letter {
  readonly key: string
  readonly sequence: number
  readonly value: string
}

/** Counts what came of the records of a log. */
class Counting {
  readonly #inLog: ReadonlyMap<number, { readonly key: string; readonly n: number }>
  readonly #isForLetter: (n: number) => boolean
  readonly #seen = new Set<number>()
  readonly #newest = new Map<string, number>()
  #letters = 0
  #duplicated = 0
  #disordered = 0
  #wrong = 0

  /** @param isForLetter whether a record should be a dead letter, by its number */
  constructor(
    inLog: ReadonlyMap<number, { readonly key: string; readonly n: number }>,
    isForLetter: (n: number) => boolean = () => false,
  ) {
    this.#inLog = inLog
    this.#isForLetter = isForLetter
  }

  take(key: string, sequence = -1, content?: Content): void {
    if (!this.#isNew(key, sequence, content, false)) return
    if (sequence < (this.#newest.get(key) ?? 0)) this.#disordered++
    this.#newest.set(key, sequence)
  }

  takeLetter(key: string, sequence: number, content: Content): void {
    if (this.#isNew(key, sequence, content, true)) this.#letters++
  }

  #isNew(key: string, sequence: number, content: Content | undefined, isLetter: boolean): boolean {
    const record = this.#inLog.get(sequence)
    const n = content?.after?.n ?? content?.n
    if (record === undefined || record.key !== key || record.n !== n || this.#isForLetter(n) !== isLetter) this.#wrong++
    if (this.#seen.has(sequence)) {
      this.#duplicated++
      return false
    }
    this.#seen.add(sequence)
    return true
  }

  findings(): Findings {
    let lost = 0
    for (const sequence of this.#inLog.keys()) if (!this.#seen.has(sequence)) lost++
    return {
      records: this.#inLog.size,
      letters: this.#letters,
      lost,
      duplicated: this.#duplicated,
      disordered: this.#disordered,
      wrong: this.#wrong,
    }
  }
}
