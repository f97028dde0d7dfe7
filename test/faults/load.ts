/** Everything at once that a daemon can be asked for, until it is gone; and what it must know of it afterwards. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Codec, encodeBatch, stampProducer } from '../../src/log/index.js'
import { AwsFailure, type DaemonProcess } from '../daemon-process.js'
import { record } from '../log/open-log.js'
import type { GroupLoad } from './group-load.js'
import type { LedgerOfWrites } from './ledger-of-writes.js'

const streamName = 'clicks'
const writers = 2
const keysOfWriter = 4

export interface Shown {
  readonly sequence: number
  readonly key: string
  readonly value: { readonly id: string; readonly number: number }
}

interface Producer {
  readonly producer: number
  readonly epoch: number
  readonly last: number
}

interface ShownShard {
  readonly id: number
  readonly state: 'open' | 'sealed'
  /** 16 hex digits. */
  readonly low: string
  readonly high: string
}

/** What clients know of the records that they appended to a plain stream. */
export class LedgerOfAppends {
  readonly #sent = new Set<string>()
  readonly #acknowledged = new Set<string>()
  #number = 0
  #producer: Producer | undefined
  #batch: { readonly bytes: Buffer; readonly ids: readonly string[] } | undefined

  get acknowledgedRecords(): number {
    return this.#acknowledged.size
  }

  async create(daemon: DaemonProcess): Promise<void> {
    await daemon.v1('POST', 'streams', { name: streamName, shards: 2 })
  }

  /** Each writer has its keys, and waits for an answer before it sends more: so the order of a key is that of its numbers. */
  async appendUntilGone(daemon: DaemonProcess): Promise<void> {
    await Promise.all(
      Array.from({ length: writers }, (_, writer) =>
        untilGone(daemon, async () => {
          const records = Array.from({ length: 1 + (this.#number % 5) }, () => {
            const number = this.#number++
            const key = `${writer} ${number % keysOfWriter}`
            return { key, value: { id: `${key} ${number}`, number } }
          })
          for (const { value } of records) this.#sent.add(value.id)
          await daemon.v1('POST', `streams/${streamName}/records`, { records })
          for (const { value } of records) this.#acknowledged.add(value.id)
        }),
      ),
    )
  }

  /** An idempotent producer, which sends a batch again in the next life of the daemon when it was not answered in this. */
  async produceUntilGone(daemon: DaemonProcess): Promise<void> {
    await untilGone(daemon, async () => {
      this.#producer ??= await daemon.v1<Producer>('POST', `streams/${streamName}/producers`, {})
      this.#batch ??= this.#nextBatch(this.#producer)
      const { bytes, ids } = this.#batch
      const response = await fetch(`${daemon.url}/v1/streams/${streamName}/records`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream', 'x-millrace': '1' },
        body: bytes,
      })
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      for (const id of ids) this.#acknowledged.add(id)
      this.#producer = { ...this.#producer, last: this.#producer.last + 1 }
      this.#batch = undefined
    })
  }

  #nextBatch({ producer, epoch, last }: Producer): { bytes: Buffer; ids: string[] } {
    const number = this.#number++
    const id = `producer ${number}`
    this.#sent.add(id)
    const value = JSON.stringify({ id, number })
    const bytes = encodeBatch([{ ...record('producer', value), codec: Codec.json }])
    stampProducer(bytes, { producer, number: last + 1, epoch })
    return { bytes, ids: [id] }
  }

  async split(daemon: DaemonProcess): Promise<void> {
    await splitOne(daemon, streamName)
  }

  /** Reads everything. Returns what is wrong. */
  async check(daemon: DaemonProcess): Promise<string[]> {
    const faults: string[] = []
    const records = await readRecords(daemon, streamName)
    const found = new Set<string>()
    const last = new Map<string, number>()
    let before = 0
    for (const { sequence, key, value } of records) {
      if (sequence === before) faults.push(`the sequence number ${sequence} was given twice`)
      before = sequence
      if (found.has(value.id)) faults.push(`${value.id} is there twice`)
      found.add(value.id)
      if (!this.#sent.has(value.id)) faults.push(`${value.id} was sent by nobody`)
      if ((last.get(key) ?? -1) >= value.number) faults.push(`${value.id} comes after ${last.get(key)}`)
      last.set(key, value.number)
    }
    for (const id of this.#acknowledged) if (!found.has(id)) faults.push(`${id} was acknowledged and is lost`)
    return faults
  }
}

/** Every record of a plain stream, in the order of their numbers. */
export async function readRecords(daemon: DaemonProcess, stream: string): Promise<Shown[]> {
  const records: Shown[] = []
  const { shards } = await daemon.v1<{ shards: ShownShard[] }>('GET', `streams/${stream}/shards`)
  for (const { id } of shards) {
    for (let from: number | undefined; ; ) {
      const query = `shard=${id}&limit=10000${from === undefined ? '' : `&from=${from}`}`
      const page = await daemon.v1<{ records: Shown[]; next: number }>('GET', `streams/${stream}/records?${query}`)
      if (page.records.length === 0) break
      records.push(...page.records)
      from = page.next
    }
  }
  return records.sort((a, b) => a.sequence - b.sequence)
}

const widthOf = ({ low, high }: ShownShard): bigint => BigInt(`0x${high}`) - BigInt(`0x${low}`)

/** Splits the widest shard while there are few, so that none becomes too narrow, then merges two neighbours. */
async function splitOne(daemon: DaemonProcess, stream: string): Promise<void> {
  const { shards } = await daemon.v1<{ shards: ShownShard[] }>('GET', `streams/${stream}/shards`)
  const open = shards.filter((shard) => shard.state === 'open')
  if (open.length < 6) {
    const widest = open.reduce((a, b) => (widthOf(b) > widthOf(a) ? b : a))
    await daemon.v1('POST', `streams/${stream}/shards/${widest.id}/split`, {})
  } else {
    const [left, right] = open.sort((a, b) => (a.low < b.low ? -1 : 1))
    await daemon.v1('POST', `streams/${stream}/shards/merge`, { left: left!.id, right: right!.id })
  }
}

/** Repeats a client's work; ends when the daemon is gone. An answer that is an error of another kind is thrown on. */
export async function untilGone(daemon: DaemonProcess, work: () => Promise<unknown>): Promise<void> {
  const isGone = () => daemon.child.exitCode !== null || daemon.child.signalCode !== null
  while (!isGone()) {
    try {
      await work()
    } catch (error) {
      // A connection that broke says nothing of the outcome; a daemon that stops says so.
      if (isGone() || error instanceof TypeError) return
      if (
        /NOT_READY|FENCED|CONFLICT|ALREADY_EXISTS|NOT_FOUND|TOO_BUSY|InUse|NotFound|ServiceUnavailable/.test(
          String(error),
        )
      ) {
        if (/NOT_READY|ServiceUnavailable/.test(String(error))) return
        continue
      }
      throw error
    }
  }
}

export interface Load {
  readonly writes: LedgerOfWrites
  readonly appends: LedgerOfAppends
  readonly group: GroupLoad
  /** A pipeline that is called `passing`. */
  readonly bundle: string
  /** A folder for what is backed up. */
  readonly backups: string
}

/** Tables, streams, pipelines and backups that come and go, beside each other. */
async function controlUntilGone(daemon: DaemonProcess, { appends, bundle, backups }: Load): Promise<void> {
  let number = 0
  const next = () => `passing${number++ % 5}`
  const target = join(backups, 'backup')
  await Promise.all([
    untilGone(daemon, async () => {
      const TableName = next()
      await daemon.aws('CreateTable', { TableName, ...description }).catch(orExists)
      await daemon.aws('PutItem', { TableName, Item: { id: { S: 'x' } } })
      await daemon.aws('DeleteTable', { TableName })
    }),
    untilGone(daemon, async () => {
      const TableName = 'indexed'
      await daemon.aws('CreateTable', { TableName, ...description }).catch(orExists)
      await daemon.aws('PutItem', { TableName, Item: { id: { S: 'x' }, by: { S: 'y' } } })
      await daemon.aws('UpdateTable', { TableName, ...createdIndex }).catch(orUnchanged)
      await daemon.aws('PutItem', { TableName, Item: { id: { S: 'y' }, by: { S: 'y' } } })
      await daemon.aws('UpdateTable', { TableName, ...deletedIndex }).catch(orUnchanged)
      await daemon.aws('DeleteTable', { TableName })
    }),
    untilGone(daemon, async () => {
      const name = next()
      await daemon.v1('POST', 'streams', { name }).catch(orExists)
      await daemon.v1('POST', `streams/${name}/records`, { records: [{ key: 'x', value: 1 }] })
      await appends.split(daemon)
      await daemon.v1('DELETE', `streams/${name}`)
    }),
    untilGone(daemon, async () => {
      await daemon.v1('POST', 'pipelines', { bundle }).catch(orExists)
      await daemon.v1('DELETE', 'pipelines/passing')
    }),
    untilGone(daemon, async () => {
      await daemon.v1('POST', 'backup', { target }).catch(orExists)
      rmSync(`${target}.partial`, { recursive: true, force: true })
    }),
  ])
}

const description = {
  AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
  BillingMode: 'PAY_PER_REQUEST',
}

const createdIndex = {
  AttributeDefinitions: [{ AttributeName: 'by', AttributeType: 'S' }],
  GlobalSecondaryIndexUpdates: [
    {
      Create: {
        IndexName: 'index',
        KeySchema: [{ AttributeName: 'by', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'KEYS_ONLY' },
      },
    },
  ],
}
const deletedIndex = { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'index' } }] }

/** The life before may have made or removed the index already. */
function orUnchanged(error: unknown): void {
  if (!(error instanceof AwsFailure)) throw error
}

function orExists(error: unknown): void {
  if (error instanceof TypeError) throw error
  if (
    error instanceof AwsFailure
      ? error.type !== 'ResourceInUseException'
      : !/ALREADY_EXISTS|TOO_BUSY/.test(String(error))
  )
    throw error
}

/** All of it, until the daemon is gone. */
export async function loadUntilGone(daemon: DaemonProcess, load: Load): Promise<void> {
  await Promise.all([
    load.writes.writeUntilGone(daemon, 3),
    load.appends.appendUntilGone(daemon),
    load.appends.produceUntilGone(daemon),
    load.group.readUntilGone(daemon),
    controlUntilGone(daemon, load),
  ])
}
