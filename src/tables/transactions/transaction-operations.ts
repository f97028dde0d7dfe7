import { readUnits, type ShowCapacity, writeUnits } from '../capacity.js'
import { project } from '../expressions/index.js'
import { parseItem, type StoredItem } from '../item-row.js'
import { array, members } from '../json-bytes.js'
import type { Input } from '../request.js'
import type { Written } from '../writer.js'
import type { TransactGet } from './actions.js'
import { getRequest } from './get-request.js'
import { digestOf } from './tokens.js'
import { type Transactions, transactionFactor } from './transactions.js'
import { refuseBytes, writeRequest } from './write-request.js'

/** TransactWriteItems and TransactGetItems: a parsed request in, the answer's bytes out. */
export class TransactionOperations {
  readonly #transactions: Transactions

  constructor(transactions: Transactions) {
    this.#transactions = transactions
  }

  async write(input: Input): Promise<Buffer> {
    const { actions, token, show } = writeRequest(input)
    const once =
      token === undefined ? undefined : { text: token, digest: digestOf(['TransactWriteItems', input.TransactItems]) }
    const done = await this.#transactions.write(actions, once)
    const consumed =
      'repeated' in done
        ? capacities(show, done.repeated, 'ReadCapacityUnits')
        : capacities(
            show,
            actions.map(({ table }, i) => [table, transactionFactor * writeUnits((done.written[i] as Written).size)]),
            'WriteCapacityUnits',
          )
    return members([['ConsumedCapacity', consumed]])
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

/** What each table's items cost together, in the order in which the tables are first named. */
function capacities(
  show: ShowCapacity,
  units: readonly (readonly [table: string, units: number])[],
  kind: 'ReadCapacityUnits' | 'WriteCapacityUnits',
): Buffer | undefined {
  if (show === 'NONE') return undefined
  const sums = new Map<string, number>()
  for (const [table, used] of units) sums.set(table, (sums.get(table) ?? 0) + used)
  const shown = [...sums].map(([TableName, used]) => {
    const both = { CapacityUnits: used, [kind]: used }
    return { TableName, ...both, ...(show === 'INDEXES' ? { Table: both } : {}) }
  })
  return Buffer.from(JSON.stringify(shown))
}
