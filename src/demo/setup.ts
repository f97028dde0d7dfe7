import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MillraceError } from '../runtime/index.js'
import type { Aws } from './aws.js'
import type { Daemon } from './daemon.js'
import { flightsTable, routesTable } from './expectation.js'
import { native } from './native.js'

const pipelineModules = ['late-flights.js', 'route-delays.js']
const bridgeName = 'demo'
/** The file that the pipeline lateFlights writes, below the `files` of the data directory. */
export const fileName = 'late-flights.ndjson'

/** Makes the tables and deploys the pipelines. Returns the ARN of the flights' stream. */
export async function prepare(aws: Aws, daemon: Daemon): Promise<string> {
  const { CreateTableCommand } = aws.dynamodb
  const created = await aws.request(({ tables }) =>
    tables.send(
      new CreateTableCommand({
        TableName: flightsTable,
        AttributeDefinitions: [
          { AttributeName: 'route', AttributeType: 'S' },
          { AttributeName: 'flight', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'route', KeyType: 'HASH' },
          { AttributeName: 'flight', KeyType: 'RANGE' },
        ],
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      }),
    ),
  )
  await aws.request(({ tables }) =>
    tables.send(
      new CreateTableCommand({
        TableName: routesTable,
        AttributeDefinitions: [{ AttributeName: 'route', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'route', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
      }),
    ),
  )
  await Promise.all([flightsTable, routesTable].map((name) => active(aws, name)))
  for (const module of pipelineModules) await deploy(daemon, module)
  const streamArn = created.TableDescription?.LatestStreamArn
  if (streamArn === undefined) throw new MillraceError('INTERNAL', `The table ${flightsTable} has no stream.`)
  return streamArn
}

async function active(aws: Aws, TableName: string): Promise<void> {
  for (;;) {
    const command = new aws.dynamodb.DescribeTableCommand({ TableName })
    const { Table } = await aws.request(({ tables }) => tables.send(command))
    if (Table?.TableStatus === 'ACTIVE') return
    await sleep(20)
  }
}

/** As a user does it, with the command: it bundles the module and hands it to the daemon. */
async function deploy(daemon: Daemon, module: string): Promise<void> {
  const main = fileURLToPath(new URL('../cli/main.cjs', import.meta.url))
  const path = fileURLToPath(new URL(`pipelines/${module}`, import.meta.url))
  try {
    await promisify(execFile)(process.execPath, [main, 'pipelines', 'deploy', path, '--url', daemon.url])
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string }
    throw new MillraceError('MODULE_INVALID', `${path} could not be deployed: ${stderr || message}`, { cause: error })
  }
}

/** Returns the topic: a new one each time, so that nothing older is counted. */
export async function createBridge(daemon: Daemon, broker: string): Promise<string> {
  const topic = `millrace-demo-${Date.now().toString(36)}.${flightsTable}`
  await native(daemon, 'POST', 'bridges', {
    name: bridgeName,
    source: `table:${flightsTable}`,
    brokers: [broker],
    topic,
  })
  return topic
}
