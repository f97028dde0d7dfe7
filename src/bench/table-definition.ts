/** The input of CreateTable for a table with the key `key`. */
export const tableDefinition = (TableName: string): object => ({
  TableName,
  AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
  BillingMode: 'PAY_PER_REQUEST',
})
