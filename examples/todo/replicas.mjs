// Makes the tables of the to-do lists global ones, as on AWS:
//   node examples/todo/replicas.mjs REGION
// AWS_ENDPOINT_URL is the region that has them already.

import { addReplica } from './setup.mjs'
import { connect, globalTables } from './tables.mjs'

const documents = connect({ endpoint: process.env.AWS_ENDPOINT_URL ?? 'http://127.0.0.1:8000' })
for (const table of globalTables) {
  const { Replicas } = await addReplica(documents, table, process.argv[2])
  console.log(table, Replicas.map(({ RegionName, ReplicaStatus }) => `${RegionName} ${ReplicaStatus}`).join(', '))
}
documents.destroy()
