// The to-do tables from the command line, with the AWS SDK:
//   node examples/todo/todo.mjs create                                 the tables and two lists
//   node examples/todo/todo.mjs put LIST TASK WORDS [--expires-in S]   a task, new or changed
//   node examples/todo/todo.mjs delete LIST TASK
//   node examples/todo/todo.mjs show TABLE                             its items, one a line
// AWS_ENDPOINT_URL says where; without it http://127.0.0.1:8000.
import { parseArgs } from 'node:util'
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { connect, createLists, createTables, inSeconds, itemsOf } from './tables.mjs'

const { positionals, values } = parseArgs({ allowPositionals: true, options: { 'expires-in': { type: 'string' } } })
const [verb, first, TaskId, ...words] = positionals
const documents = connect({ endpoint: process.env.AWS_ENDPOINT_URL ?? 'http://127.0.0.1:8000' })
const Key = { ListId: Number(first), TaskId }

switch (verb) {
  case 'create':
    await createTables(documents)
    await createLists(documents)
    break
  case 'put': {
    const seconds = values['expires-in']
    const ExpiresAt = seconds === undefined ? undefined : inSeconds(Number(seconds))
    const Item = { ...Key, Description: words.join(' '), ExpiresAt }
    await documents.send(new PutCommand({ TableName: 'todoListTask', Item }))
    break
  }
  case 'delete':
    await documents.send(new DeleteCommand({ TableName: 'todoListTask', Key }))
    break
  case 'show':
    for (const item of await itemsOf(documents, first)) console.log(JSON.stringify(item))
    break
  default:
    console.error('node examples/todo/todo.mjs create | put LIST TASK WORDS | delete LIST TASK | show TABLE')
    process.exitCode = 2
}
documents.destroy()
