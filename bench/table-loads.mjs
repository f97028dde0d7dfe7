// The loads of the benchmark of tables: what is sent, over how many connections, and what one request counts for.

const pad = 'x'.repeat(120)

/** About 190 bytes by DynamoDB's count. */
const attributes = (count) =>
  `"name":{"S":"some name of an item"},"count":{"N":"${count}"},"stamp":{"N":"1764000000000"},"pad":{"S":"${pad}"}`
const item = (id, count) => `{"id":{"S":"${id}"},${attributes(count)}}`

const itemsOfPartition = 100

let counter = 0
const anyOf = (items) => `item ${Math.floor(Math.random() * items)}`
const put = (table, items) => () => `{"TableName":"${table}","Item":${item(anyOf(items), counter++ % 1_000_000)}}`
const batch = (table) => () => {
  let puts = ''
  for (let i = 0; i < 25; i++, counter++)
    puts += `${i > 0 ? ',' : ''}{"PutRequest":{"Item":${item(`batch ${counter % 200_000}`, counter % 1_000_000)}}}`
  return `{"RequestItems":{"${table}":[${puts}]}}`
}
const query = (partition) =>
  `{"TableName":"ranged","KeyConditionExpression":"id = :id","ExpressionAttributeValues":{":id":{"S":"partition ${partition}"}}}`

/**
 * @param items how many items single reads and writes are spread over
 * @param partitions how many partitions of 100 items the table for Query has
 */
export const loadsOf = ({ items, partitions, connections }) => ({
  'PutItem, NEW_AND_OLD_IMAGES': { connections, operation: 'PutItem', body: put('streamed', items) },
  'PutItem, no stream': { connections, operation: 'PutItem', body: put('plain', items) },
  'UpdateItem ADD, one hot key, with stream': {
    connections,
    operation: 'UpdateItem',
    body: () =>
      '{"TableName":"streamed","Key":{"id":{"S":"hot"}},"UpdateExpression":"ADD hits :one","ExpressionAttributeValues":{":one":{"N":"1"}}}',
  },
  'BatchWriteItem 25, no stream': { connections: 16, operation: 'BatchWriteItem', items: 25, body: batch('plain') },
  'BatchWriteItem 25, NEW_AND_OLD_IMAGES': {
    connections: 16,
    operation: 'BatchWriteItem',
    items: 25,
    body: batch('streamed'),
  },
  GetItem: {
    connections,
    operation: 'GetItem',
    body: () => `{"TableName":"streamed","Key":{"id":{"S":"${anyOf(items)}"}}}`,
  },
  'Query of 100, any of all partitions': {
    connections: 16,
    operation: 'Query',
    items: itemsOfPartition,
    needs: 'ranged',
    body: () => query(Math.floor(Math.random() * partitions)),
  },
  'Query of 100, one of 16 partitions': {
    connections: 16,
    operation: 'Query',
    items: itemsOfPartition,
    needs: 'ranged',
    body: () => query(Math.floor(Math.random() * 16)),
  },
  'GetRecords, limit 1000, one reader': { connections: 1, operation: 'GetRecords', needs: 'replayed' },
})

/** What fills a table, in batches of 25 puts: an iterator of bodies. */
export function* fillOf(table, { items, partitions, records }) {
  const count = table === 'ranged' ? partitions * itemsOfPartition : table === 'replayed' ? records : items
  const keyOf = {
    // One after the other would lie side by side in the store: a partition's items come at different times.
    ranged: (i) =>
      `"id":{"S":"partition ${i % partitions}"},"sort":{"S":"sort ${String(Math.floor(i / partitions)).padStart(5, '0')}"}`,
    // The second half replaces the first, so that half of the records have an old image too.
    replayed: (i) => `"id":{"S":"item ${i % (records / 2)}"}`,
  }
  const key = keyOf[table] ?? ((i) => `"id":{"S":"item ${i}"}`)
  for (let i = 0; i < count; ) {
    const puts = []
    for (; puts.length < 25 && i < count; i++) puts.push(`{"PutRequest":{"Item":{${key(i)},${attributes(i)}}}}`)
    yield `{"RequestItems":{"${table}":[${puts.join(',')}]}}`
  }
}

export const tables = {
  streamed: { stream: true },
  plain: {},
  ranged: { sort: true },
  replayed: { stream: true },
}

export function definitionOf(name) {
  const { stream, sort } = tables[name]
  const names = sort ? ['id', 'sort'] : ['id']
  return {
    TableName: name,
    AttributeDefinitions: names.map((key) => ({ AttributeName: key, AttributeType: 'S' })),
    KeySchema: names.map((key, i) => ({ AttributeName: key, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
    BillingMode: 'PAY_PER_REQUEST',
    ...(stream ? { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } } : {}),
  }
}
