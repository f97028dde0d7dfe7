import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// What the indexes of a sink's table refuse is the fault of the record that made it, and not of the whole barrier.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const env = {
  MILLRACE_WORKERS_THREADS: '1',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
}
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data: join(folder, 'data'), env })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

const attributes = (...names: string[]) => names.map((AttributeName) => ({ AttributeName, AttributeType: 'S' }))
const byGroup = {
  IndexName: 'by-group',
  KeySchema: [{ AttributeName: 'group', KeyType: 'HASH' }],
  Projection: { ProjectionType: 'ALL' },
}
const table = (TableName: string, more: object = {}) =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: attributes('id'),
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    ...more,
  })

async function deploy(name: string, sink: string): Promise<void> {
  await daemon.v1('POST', 'streams', { name: `in-${name}`, shards: 1 })
  const path = join(folder, `${name}.ts`)
  writeFileSync(
    path,
    `import { pipeline, stream, table } from 'millrace'
     export default pipeline('${name}').from(stream<unknown>('in-${name}')).keyByPartition()
       .to(table('${name}', ({ key, value }) => (${sink})))`,
  )
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
}

const append = (name: string, records: Record<string, unknown>) =>
  daemon.v1('POST', `streams/in-${name}/records`, {
    records: Object.entries(records).map(([key, value]) => ({ key, value })),
  })
const ids = async (TableName: string, IndexName?: string) => {
  const { Items } = await daemon.aws<{ Items: { id: { S: string } }[] }>('Scan', { TableName, IndexName })
  return Items.map(({ id }) => id.S).sort()
}
const parked = async (name: string) => {
  const found = await daemon.v1<{ parked: { key: string; error: { message: string } }[] }>(
    'GET',
    `parked?pipeline=${name}`,
  )
  return found.parked.map(({ key, error }) => [key, error.message])
}

it('an item with a key of the wrong type for an index is parked', async () => {
  await table('typed', { AttributeDefinitions: attributes('id', 'group'), GlobalSecondaryIndexes: [byGroup] })
  await deploy('typed', '{ id: key, group: value }')
  await append('typed', { a: 'x', b: 7, c: 'y' })
  await expect.poll(() => ids('typed', 'by-group')).toEqual(['a', 'c'])
  expect(await parked('typed')).toEqual([
    [
      'b',
      'An item for the table typed is not valid: One or more parameter values were invalid: ' +
        'Type mismatch for Index Key group Expected: S Actual: N IndexName: by-group',
    ],
  ])
})

it('so is one that is too large together with its entry in a local index', async () => {
  await table('large', {
    AttributeDefinitions: attributes('id', 'sort', 'place'),
    KeySchema: [
      { AttributeName: 'id', KeyType: 'HASH' },
      { AttributeName: 'sort', KeyType: 'RANGE' },
    ],
    LocalSecondaryIndexes: [
      {
        IndexName: 'by-place',
        KeySchema: [
          { AttributeName: 'id', KeyType: 'HASH' },
          { AttributeName: 'place', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  })
  await deploy('large', `{ id: key, sort: 's', ...value as object, text: 'x'.repeat(250_000) }`)
  await append('large', { a: {}, b: { place: 'p' }, c: {} })
  await expect.poll(() => ids('large')).toEqual(['a', 'c'])
  expect((await parked('large')).map(([key, message]) => [key, message?.slice(-56)])).toEqual([
    ['b', 'not valid: Item size has exceeded the maximum allowed size'.slice(-56)],
  ])
})

it('also when the index came later than the pipeline', async () => {
  await table('later')
  await deploy('later', '{ id: key, group: value }')
  await append('later', { a: 1 })
  await expect.poll(() => ids('later')).toEqual(['a'])
  await daemon.aws('UpdateTable', {
    TableName: 'later',
    AttributeDefinitions: attributes('id', 'group'),
    GlobalSecondaryIndexUpdates: [{ Create: byGroup }],
  })
  await append('later', { b: 2, c: 'z' })
  await expect.poll(() => ids('later')).toEqual(['a', 'c'])
  expect((await parked('later')).map(([key]) => key)).toEqual(['b'])
})
