import { expect, onTestFinished } from 'vitest'
import { AwsError } from '../../../src/tables/index.js'
import { ManualClock } from '../../manual-clock.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { openTables } from '../open-tables.js'

export type Values = Record<string, unknown>

export interface Body {
  readonly Items: Values[]
  readonly NextToken?: string
  readonly LastEvaluatedKey?: Values
  readonly ConsumedCapacity?: Values
}

export interface Asked<B> {
  /** The name of the error, after its namespace. */
  readonly error?: string
  readonly message?: string
  readonly body: B
}

/** Tables in memory, one with a hash key (`pk`) and one that has a range key too (`sk`, N), and statements to them. */
export async function running() {
  const opened = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  onTestFinished(() => opened.close())
  const ask = async <B = Values>(operation: string, input: unknown): Promise<Asked<B>> => {
    try {
      return { body: await opened.run<B>(operation, input) }
    } catch (thrown) {
      if (!(thrown instanceof AwsError)) throw thrown
      const { type, message, extra } = thrown
      return { error: type.slice(type.indexOf('#') + 1), message, body: extra as B }
    }
  }
  const hashed = await opened.table('hashed')
  const ranged = 'ranged'
  const created = await ask('CreateTable', {
    TableName: ranged,
    AttributeDefinitions: [
      { AttributeName: 'pk', AttributeType: 'S' },
      { AttributeName: 'sk', AttributeType: 'N' },
    ],
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })
  expect(created.error).toBeUndefined()
  const run = (Statement: string, more: object = {}) => ask<Body>('ExecuteStatement', { Statement, ...more })
  return {
    ask,
    hashed,
    ranged,
    run,
    /** The items of a statement that must go well. */
    async items(statement: string, more: object = {}): Promise<Values[]> {
      const { body, message } = await run(statement, more)
      expect(message, statement).toBeUndefined()
      return body.Items
    },
    /** The text of a ValidationException. */
    async refusal(statement: string, more: object = {}): Promise<string | undefined> {
      const { error, message } = await run(statement, more)
      expect(error, statement).toBe('ValidationException')
      return message
    },
    put: (TableName: string, Item: Values) => ask('PutItem', { TableName, Item }),
    get: async (pk: string) =>
      (await ask<{ Item?: Values }>('GetItem', { TableName: hashed, Key: { pk: { S: pk } } })).body.Item,
  }
}
