// The to-do tables from the command line, with the AWS SDK:
//   node examples/todo/todo.mjs create                                 the tables and two lists
//   node examples/todo/todo.mjs put LIST TASK WORDS [--expires-in S]   a task, new or changed
//   node examples/todo/todo.mjs delete LIST TASK
//   node examples/todo/todo.mjs show TABLE...                          their items, one a line
// Without a verb it does what the lines of its input say. AWS_ENDPOINT_URL says where; without it http://127.0.0.1:8000.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { connect, createLists, createTables, inSeconds, itemsOf } from './tables.mjs'

const documents = connect({ endpoint: process.env.AWS_ENDPOINT_URL ?? 'http://127.0.0.1:8000' })
try {
  const args = process.argv.slice(2)
  if (args.length > 0) await run(args)
  else for await (const line of createInterface({ input: process.stdin })) await run(line.split(' '))
} finally {
  documents.destroy()
}

async function run(args) {
  const options = { 'expires-in': { type: 'string' } }
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options })
  const [verb, ...given] = positionals
  const [list, TaskId, ...words] = given
  const Key = { ListId: Number(list), TaskId }
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
      for (const table of given) for (const item of await itemsOf(documents, table)) console.log(JSON.stringify(item))
      break
    default:
      console.error('node examples/todo/todo.mjs create | put LIST TASK WORDS | delete LIST TASK | show TABLE...')
      process.exitCode = 2
  }
}
