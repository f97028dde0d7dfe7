import { project } from '../expressions/index.js'
import type { ItemCollections } from '../indexes/index.js'
import { parseItem, type StoredItem } from '../items/item-row.js'
import { readUnits } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { array, members } from '../requests/json-bytes.js'
import type { Input } from '../requests/request.js'
import type { TransactAction, TransactGet } from './actions.js'
import { capacities, writtenUnits } from './capacities.js'
import { getRequest } from './get-request.js'
import { digestOf } from './tokens.js'
import { type TransactedItem, type Transactions, transactionFactor } from './transactions.js'
import { refuseBytes, writeRequest } from './write-request.js'

/** TransactWriteItems and TransactGetItems: a parsed request in, the answer's bytes out. */
export class TransactionOperations {
  readonly #transactions: Transactions
  readonly #collections: ItemCollections

  constructor(transactions: Transactions, collections: ItemCollections) {
    this.#transactions = transactions
    this.#collections = collections
  }

  async write(input: Input): Promise<Buffer> {
    const { actions, token, show, showMetrics } = writeRequest(input)
    const once =
      token === undefined ? undefined : { text: token, digest: digestOf(['TransactWriteItems', input.TransactItems]) }
    const done = await this.#transactions.write(actions, once)
    if ('repeated' in done) return members([['ConsumedCapacity', capacities(show, done.repeated, 'ReadCapacityUnits')]])
    const units = show === 'NONE' ? [] : writtenUnits(actions, done.written)
    const metrics = showMetrics ? await this.#metrics(actions, done.written) : undefined
    return members([
      ['ConsumedCapacity', capacities(show, units, 'WriteCapacityUnits')],
      ['ItemCollectionMetrics', metrics && doubleJson(metrics)],
    ])
  }

  /** Of what the actions have written to. */
  #metrics(actions: readonly TransactAction[], written: readonly TransactedItem[]): Promise<object | undefined> {
    const changed = actions.flatMap(({ kind, table }, i) =>
      kind === 'check' ? [] : [{ named: table, ...(written[i] as TransactedItem) }],
    )
    return this.#collections.ofMany(changed)
  }

  async get(input: Input): Promise<Buffer> {
    const { gets, show } = getRequest(input)
    const found = await this.#transactions.get(gets)
    refuseBytes(found.reduce((bytes, stored) => bytes + (stored?.size ?? 0), 0))
    const units = gets.map(({ table }, i) => [table, transactionFactor * readUnits(found[i]?.size ?? 0, true)] as const)
    return members([
      ['ConsumedCapacity', capacities(show, units, 'ReadCapacityUnits')],
      ['Responses', array(gets.map((get, i) => response(get, found[i])))],
    ])
  }
}

function response({ projection }: TransactGet, stored: StoredItem | undefined): Buffer {
  const item = stored && projection ? Buffer.from(JSON.stringify(project(projection, parseItem(stored)))) : stored?.json
  return members([['Item', item]])
}
