// Puts the application on its regions: the tables and their replicas, the count, the archive.

import { setTimeout as sleep } from 'node:timers/promises'
import { DescribeTableCommand, UpdateTableCommand } from '@aws-sdk/client-dynamodb'
import { millrace } from './regions.mjs'
import { createLists, createTables, globalTables, tableNames } from './tables.mjs'

/** How long a replica may take to become ready. */
const readyMsMax = 60_000

export async function setUp([first, ...others]) {
  await createTables(first.documents)
  for (const { documents } of others)
    await createTables(
      documents,
      tableNames.filter((name) => !globalTables.includes(name)),
    )
  // The two lists are there already: a replica gets what its table holds, and then its changes.
  await createLists(first.documents)
  for (const { name } of others) for (const table of globalTables) await addReplica(first.documents, table, name)
  await Promise.all([first, ...others].map(follow))
}

/** What a table has, and will have, is from now on in another region too. Gives the table's description when it is so. */
export async function addReplica(documents, TableName, RegionName) {
  await documents.send(new UpdateTableCommand({ TableName, ReplicaUpdates: [{ Create: { RegionName } }] }))
  for (const until = Date.now() + readyMsMax; ; await sleep(50)) {
    const { Table } = await documents.send(new DescribeTableCommand({ TableName }))
    const replica = Table.Replicas?.find((each) => each.RegionName === RegionName)
    if (Table.TableStatus === 'ACTIVE' && replica?.ReplicaStatus === 'ACTIVE') return Table
    if (Date.now() > until)
      throw new Error(`The replica of ${TableName} in ${RegionName} is ${replica?.ReplicaStatus}.`)
  }
}

/** The pipelines that follow a region's tables. Its configuration has the rest: the trigger and the search index. */
async function follow(region) {
  const files = ['pipeline.ts', 'archive.ts']
  await Promise.all(files.map((file) => millrace(region, 'pipelines', 'deploy', `examples/todo/${file}`)))
}
