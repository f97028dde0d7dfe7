/**
 * What a client knows of its writes, to check a daemon that was killed: for each key the value that was acknowledged last
 * and the one whose outcome is unknown, if any.
 */
import type { DaemonProcess, StreamRecord } from '../daemon-process.js'
import { indexFaults } from './index-agreement.js'

export const tableName = 'faults'
const indexName = 'byValue'
const keyCount = 40

interface Known {
  /** undefined: no item. */
  acknowledged: string | undefined
  unknown: { value: string | undefined } | undefined
}

type Attribute = Record<string, string>

export class LedgerOfWrites {
  readonly #known = new Map<string, Known>()
  #number = 0
  acknowledgedWrites = 0
  readonly #seed: () => number

  constructor(seed: number) {
    let state = seed >>> 0 || 1
    this.#seed = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 32
    }
    for (let i = 0; i < keyCount; i++) this.#known.set(`key ${i}`, { acknowledged: undefined, unknown: undefined })
  }

  random(): number {
    return this.#seed()
  }

  /** Writes from several clients at once until the daemon is gone. Each key has one writer, so its history is known. */
  async writeUntilGone(daemon: DaemonProcess, writers = 8): Promise<void> {
    const keys = [...this.#known.keys()]
    await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        const own = keys.filter((_key, index) => index % writers === writer)
        for (;;) {
          const key = own[Math.floor(this.random() * own.length)]!
          if (!(await this.#write(daemon, key))) return
        }
      }),
    )
  }

  async #write(daemon: DaemonProcess, key: string): Promise<boolean> {
    const known = this.#known.get(key)!
    const kind = this.random()
    const value = kind < 0.15 ? undefined : `value ${this.#number++}`
    const Key = { id: { S: key } }
    known.unknown = { value }
    try {
      if (value === undefined) await daemon.aws('DeleteItem', { TableName: tableName, Key })
      else if (kind < 0.5) {
        await daemon.aws('UpdateItem', {
          TableName: tableName,
          Key,
          UpdateExpression: 'SET #v = :v',
          ExpressionAttributeNames: { '#v': 'value' },
          ExpressionAttributeValues: { ':v': { S: value } },
        })
      } else
        await daemon.aws('PutItem', {
          TableName: tableName,
          Item: { ...Key, value: { S: value }, pad: { S: 'x'.repeat(Math.floor(this.random() * 3000)) } },
        })
    } catch (error) {
      // A connection that broke says nothing of the outcome.
      if (daemon.child.exitCode !== null || daemon.child.signalCode !== null || error instanceof TypeError) return false
      throw error
    }
    known.acknowledged = value
    known.unknown = undefined
    this.acknowledgedWrites++
    return true
  }

  /** Compares every key with what the daemon has now; unknown outcomes become known. Returns what is wrong. */
  async check(daemon: DaemonProcess): Promise<string[]> {
    const faults: string[] = []
    for (const [key, known] of this.#known) {
      const { Item } = await daemon.aws<{ Item?: Record<string, Attribute> }>('GetItem', {
        TableName: tableName,
        Key: { id: { S: key } },
        ConsistentRead: true,
      })
      const found = Item?.value?.S
      const possible = [known.acknowledged, ...(known.unknown ? [known.unknown.value] : [])]
      if (!possible.includes(found)) faults.push(`${key} is ${found}; acknowledged was ${possible.join(' or ')}`)
      known.acknowledged = found
      known.unknown = undefined
    }
    return [...faults, ...(await indexFaults(daemon, tableName, indexName, 'value'))]
  }

  /** The records of a key are a chain (old image = the new image before), and its end is the row. Returns what is wrong. */
  checkChain(records: readonly StreamRecord[]): string[] {
    const faults: string[] = []
    const last = new Map<string, string | undefined>()
    const ids = new Set<string>()
    for (const record of records) {
      const key = record.dynamodb.Keys.id!.S!
      if (ids.has(record.eventID)) faults.push(`${record.eventID} came twice`)
      ids.add(record.eventID)
      const [before, after] = [record.dynamodb.OldImage?.value?.S, record.dynamodb.NewImage?.value?.S]
      if (last.get(key) !== before)
        faults.push(`${key}: the old image ${before} is not the new image before, ${last.get(key)}`)
      last.set(key, after)
    }
    for (const [key, known] of this.#known) {
      if (last.get(key) !== known.acknowledged)
        faults.push(`${key}: the row is ${known.acknowledged}, the last record says ${last.get(key)}`)
    }
    return faults
  }
}

export async function createTable(daemon: DaemonProcess): Promise<string> {
  const { TableDescription } = await daemon.aws<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', {
    TableName: tableName,
    AttributeDefinitions: [
      { AttributeName: 'id', AttributeType: 'S' },
      { AttributeName: 'value', AttributeType: 'S' },
    ],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    GlobalSecondaryIndexes: [
      {
        IndexName: indexName,
        KeySchema: [{ AttributeName: 'value', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
  })
  return TableDescription.LatestStreamArn
}
