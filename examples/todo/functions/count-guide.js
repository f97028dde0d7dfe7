// Counts the tasks of each list, in the style of most guides: a callback, and requests that nobody waits for.
// It is here to be run as it is; docs/guides/aggregate.md says what is wrong with it, and count-tasks.mjs is the one to copy.
const AWS = require('aws-sdk')

const documents = new AWS.DynamoDB.DocumentClient()

exports.handler = (event, _context, callback) => {
  event.Records.forEach((record) => {
    console.log('Stream record: ', JSON.stringify(record, null, 2))
    if (record.eventName === 'INSERT') {
      const params = {
        TableName: process.env.COUNT_TABLE || 'todoTaskCount',
        Key: { ListId: Number(record.dynamodb.Keys.ListId.N) },
        UpdateExpression: 'ADD TaskCount :one',
        ExpressionAttributeValues: { ':one': 1 },
      }
      documents.update(params, (error) => {
        if (error) console.error('Unable to count. Error JSON:', JSON.stringify(error, null, 2))
      })
    }
  })
  callback(null, `Successfully processed ${event.Records.length} records.`)
}
