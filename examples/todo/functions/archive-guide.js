// Keeps what is deleted from todoListTask, in the style of most guides. docs/guides/archive.md says what is wrong with it, and
// archive-expired.mjs is the one to copy.
const AWS = require('aws-sdk')

const documents = new AWS.DynamoDB.DocumentClient()

exports.handler = (event, _context, callback) => {
  event.Records.forEach((record) => {
    if (record.eventName === 'REMOVE') {
      const params = {
        TableName: process.env.ARCHIVE_TABLE || 'todoListTaskArchived',
        Item: AWS.DynamoDB.Converter.unmarshall(record.dynamodb.OldImage),
      }
      documents.put(params, (error) => {
        if (error) console.error('Unable to archive. Error JSON:', JSON.stringify(error, null, 2))
      })
    }
  })
  callback(null, `Successfully processed ${event.Records.length} records.`)
}
