// What the page can ask for, as reads and writes of the tables of one region. Nothing but the search is written for Millrace.
import { randomUUID } from 'node:crypto'
import { DeleteCommand, GetCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { inSeconds, itemsOf } from '../tables.mjs'

/** A request that makes no sense; the page shows its message. */
export class Refusal extends Error {}

const wordsMax = 200
const expiresInMax = 366 * 24 * 60 * 60

export async function addTask({ documents }, { list, description, expiresIn }) {
  const words = typeof description === 'string' ? description.trim() : ''
  if (words === '' || words.length > wordsMax) throw new Refusal(`Describe the task in 1 to ${wordsMax} characters.`)
  if (expiresIn !== undefined && !(Number.isInteger(expiresIn) && expiresIn > 0 && expiresIn <= expiresInMax))
    throw new Refusal('A task expires in a whole number of seconds, at most a year.')
  const Item = {
    ListId: list,
    // In the order in which they were made, and no two alike in any region.
    TaskId: `${Date.now()}-${randomUUID().slice(0, 8)}`,
    Description: words,
    Done: false,
    ExpiresAt: expiresIn === undefined ? undefined : inSeconds(expiresIn),
  }
  await documents.send(new PutCommand({ TableName: 'todoListTask', Item }))
  return Item
}

export async function setDone({ documents }, { list, task, isDone }) {
  const update = {
    TableName: 'todoListTask',
    Key: { ListId: list, TaskId: task },
    UpdateExpression: 'SET Done = :done',
    // One that has expired meanwhile must not come back as a task without words.
    ConditionExpression: 'attribute_exists(TaskId)',
    ExpressionAttributeValues: { ':done': isDone === true },
  }
  try {
    await documents.send(new UpdateCommand(update))
  } catch (error) {
    if (error.name !== 'ConditionalCheckFailedException') throw error
    throw new Refusal('This task is not there any more.')
  }
}

export async function removeTask({ documents }, { list, task }) {
  await documents.send(new DeleteCommand({ TableName: 'todoListTask', Key: { ListId: list, TaskId: task } }))
}

/** A list as one region has it now. */
export async function listIn({ name, documents }, list) {
  const [tasks, archived, count, countByTrigger] = await Promise.all([
    tasksIn(documents, 'todoListTask', list),
    tasksIn(documents, 'todoListTaskArchived', list),
    countIn(documents, 'todoTaskCount', list),
    countIn(documents, 'todoTaskCountByTrigger', list),
  ])
  return { region: name, tasks, archived, count, countByTrigger }
}

export const lists = ({ documents }) => itemsOf(documents, 'todoList')

async function tasksIn(documents, TableName, list) {
  const { Items } = await documents.send(
    new QueryCommand({
      TableName,
      KeyConditionExpression: 'ListId = :list',
      ExpressionAttributeValues: { ':list': list },
    }),
  )
  return Items
}

async function countIn(documents, TableName, ListId) {
  const { Item } = await documents.send(new GetCommand({ TableName, Key: { ListId } }))
  return Item?.TaskCount ?? 0
}
