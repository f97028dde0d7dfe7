// Counts the tasks of each list, each record once, although a trigger delivers at least once.
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'

const documents = DynamoDBDocumentClient.from(new DynamoDBClient({}))
const { COUNT_TABLE = 'todoTaskCount', COUNTED_TABLE = 'todoTaskCounted' } = process.env
/** Longer than a record can be delivered again: a stream keeps its records for a day. */
const rememberSeconds = 2 * 24 * 60 * 60
const steps = { INSERT: 1, REMOVE: -1 }

export async function handler(event) {
  for (const record of event.Records) {
    const step = steps[record.eventName]
    // What throws here ends the call as failed, and the batch is delivered again.
    if (step !== undefined) await count(record, step)
  }
}

/** The count and the note that this record is counted are written as one: both or neither. */
async function count({ eventID, dynamodb }, step) {
  const forgetAt = Math.floor(Date.now() / 1000) + rememberSeconds
  const transaction = new TransactWriteCommand({
    TransactItems: [
      {
        Update: {
          TableName: COUNT_TABLE,
          Key: { ListId: Number(dynamodb.Keys.ListId.N) },
          UpdateExpression: 'ADD TaskCount :step',
          ExpressionAttributeValues: { ':step': step },
        },
      },
      {
        Put: {
          TableName: COUNTED_TABLE,
          Item: { EventId: eventID, ForgetAt: forgetAt },
          ConditionExpression: 'attribute_not_exists(EventId)',
        },
      },
    ],
  })
  try {
    await documents.send(transaction)
  } catch (error) {
    if (error.CancellationReasons?.[1]?.Code !== 'ConditionalCheckFailed') throw error
    // It was counted when it was delivered before.
  }
}
