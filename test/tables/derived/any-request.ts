import type { Random } from '../../simulation/random.js'

export type Request = readonly [operation: string, input: Record<string, unknown>]

export const tableNames = ['one', 'two']

/** Two names for indexes, so that most that are made were there before with another key. */
const indexNames = ['left', 'right']

function create(random: Random, TableName: string): Request {
  const view = { StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } }
  const made = {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    ...(random.chance(0.5) ? view : {}),
  }
  return ['CreateTable', made]
}

function createIndex(random: Random, TableName: string): Request {
  const hash = (AttributeName: string) => ({ AttributeName, KeyType: 'HASH' })
  const Create = {
    IndexName: random.pick(indexNames),
    KeySchema: random.chance(0.5) ? [hash('a')] : [hash('b'), { AttributeName: 'a', KeyType: 'RANGE' }],
    Projection: random.pick([
      { ProjectionType: 'ALL' },
      { ProjectionType: 'KEYS_ONLY' },
      { ProjectionType: 'INCLUDE', NonKeyAttributes: ['c'] },
    ]),
  }
  const AttributeDefinitions = [
    { AttributeName: 'a', AttributeType: random.pick(['N', 'S']) },
    { AttributeName: 'b', AttributeType: 'S' },
  ]
  return ['UpdateTable', { TableName, AttributeDefinitions, GlobalSecondaryIndexUpdates: [{ Create }] }]
}

function controlRequest(random: Random, TableName: string): Request {
  const Enabled = random.chance(0.5)
  switch (random.below(8)) {
    case 0:
      return random.chance(0.3) ? ['DeleteTable', { TableName }] : create(random, TableName)
    case 1:
    case 2:
      return createIndex(random, TableName)
    case 3: {
      const Delete = { IndexName: random.pick(indexNames) }
      return ['UpdateTable', { TableName, GlobalSecondaryIndexUpdates: [{ Delete }] }]
    }
    case 4: {
      const view = Enabled ? { StreamViewType: 'NEW_AND_OLD_IMAGES' } : {}
      return ['UpdateTable', { TableName, StreamSpecification: { StreamEnabled: Enabled, ...view } }]
    }
    case 5:
      return create(random, TableName)
    default: {
      const TimeToLiveSpecification = { AttributeName: random.pick(['t', 'u']), Enabled }
      return ['UpdateTimeToLive', { TableName, TimeToLiveSpecification }]
    }
  }
}

/** A request to one of the tables, of the control plane or of an item of few keys with what indexes and times hang on. */
export function anyRequest(random: Random, now: number): Request {
  const TableName = random.pick(tableNames)
  if (random.chance(0.3)) return controlRequest(random, TableName)
  const Key = { pk: { S: `k${random.below(12)}` } }
  const value = () => (random.chance(0.25) ? { S: 'x' } : { N: `${random.below(3)}` })
  const time = () => ({ N: `${Math.floor(now / 1000) + random.below(40) - 10}` })
  const item = (key = Key) => ({
    ...key,
    ...(random.chance(0.7) ? { a: value() } : {}),
    ...(random.chance(0.7) ? { b: { S: `${random.below(3)}` } } : {}),
    ...(random.chance(0.5) ? { t: time() } : {}),
    ...(random.chance(0.5) ? { u: time() } : {}),
    c: value(),
  })
  const put = (Item: object) => ({ PutRequest: { Item } })
  switch (random.below(8)) {
    case 0:
      return [
        'TransactWriteItems',
        { TransactItems: tableNames.map((name) => ({ Put: { TableName: name, Item: item() } })) },
      ]
    case 1: {
      const writes = [put(item({ pk: { S: 'k1' } })), { DeleteRequest: { Key: { pk: { S: 'k2' } } } }]
      return ['BatchWriteItem', { RequestItems: { [TableName]: writes } }]
    }
    case 2:
      return ['UpdateItem', { TableName, Key, UpdateExpression: random.pick(['REMOVE a', 'REMOVE b, t']) }]
    case 3: {
      const UpdateExpression = random.pick(['SET a = :v', 'SET c = :v REMOVE t', 'SET c = :v'])
      return ['UpdateItem', { TableName, Key, UpdateExpression, ExpressionAttributeValues: { ':v': value() } }]
    }
    case 4:
      return ['DeleteItem', { TableName, Key }]
    default:
      return ['PutItem', { TableName, Item: item() }]
  }
}
