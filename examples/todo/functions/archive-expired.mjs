// Keeps the tasks whose time to live is over, as they last were. ARCHIVE_DELETED=true keeps also what users delete.
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'

const dynamodb = new DynamoDBClient({})
const { ARCHIVE_TABLE = 'todoListTaskArchived', ARCHIVE_DELETED } = process.env

/** Who deleted it: the table itself, because the time to live was over, or a user, of whom the record says nothing. */
const isExpired = ({ userIdentity }) =>
  userIdentity?.type === 'Service' && userIdentity.principalId === 'dynamodb.amazonaws.com'

export async function handler(event) {
  for (const record of event.Records) {
    if (record.eventName !== 'REMOVE') continue
    if (!isExpired(record) && ARCHIVE_DELETED !== 'true') continue
    const { OldImage, StreamViewType } = record.dynamodb
    // Passed over it would be lost, and nobody would know.
    if (OldImage === undefined) throw new Error(`A stream of ${StreamViewType} shows no old items to archive.`)
    // The image as it is, with no detour through numbers of JavaScript; delivered again it puts the same item once more.
    await dynamodb.send(new PutItemCommand({ TableName: ARCHIVE_TABLE, Item: OldImage }))
  }
}
