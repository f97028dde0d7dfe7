import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
import { type Asking, asking } from '../asking.js'

const day = 24 * 60 * 60 * 1000
const provisioned = {
  AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
  ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 5 },
}

type Described = Record<string, unknown>

async function describe({ ask }: Asking, TableName: string): Promise<Described> {
  return (await ask<{ Table: Described }>('DescribeTable', { TableName })).body.Table
}

test('throughput is changed, and what became of it is described by days of UTC', async () => {
  const clock = new ManualClock()
  const asked = await asking({}, clock)
  const { ask } = asked
  const TableName = 'rated'
  await ask('CreateTable', { TableName, ...provisioned })
  const start = clock.wall
  const set = (read: number, write: number) =>
    ask<{ TableDescription: Described }>('UpdateTable', {
      TableName,
      ProvisionedThroughput: { ReadCapacityUnits: read, WriteCapacityUnits: write },
    })
  clock.advance(1000)
  const raised = await set(10, 5)
  expect(raised.body.TableDescription).toMatchObject({
    TableStatus: 'UPDATING',
    ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 5, LastIncreaseDateTime: (start + 1000) / 1000 },
  })
  expect(await describe(asked, TableName)).toMatchObject({
    TableStatus: 'ACTIVE',
    ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5, NumberOfDecreasesToday: 0 },
    WarmThroughput: { ReadUnitsPerSecond: 10, WriteUnitsPerSecond: 5, Status: 'ACTIVE' },
  })
  expect((await set(4, 5)).body.TableDescription.ProvisionedThroughput).toEqual({
    ReadCapacityUnits: 10,
    WriteCapacityUnits: 5,
    NumberOfDecreasesToday: 0,
    LastIncreaseDateTime: (start + 1001) / 1000,
    LastDecreaseDateTime: (start + 1000) / 1000,
  })
  clock.advance(1000)
  await set(3, 6)
  expect((await describe(asked, TableName)).ProvisionedThroughput).toEqual({
    ReadCapacityUnits: 3,
    WriteCapacityUnits: 6,
    NumberOfDecreasesToday: 2,
    LastIncreaseDateTime: (start + 2001) / 1000,
    LastDecreaseDateTime: (start + 2001) / 1000,
  })
  // What a table was ready for, it stays ready for.
  expect((await describe(asked, TableName)).WarmThroughput).toMatchObject({
    ReadUnitsPerSecond: 10,
    WriteUnitsPerSecond: 6,
  })
  const same = await set(3, 6)
  expect([same.error, same.message]).toEqual([
    'ValidationException',
    expect.stringContaining(
      'The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: 3.',
    ),
  ])
  clock.advance(day)
  expect((await describe(asked, TableName)).ProvisionedThroughput).toMatchObject({ NumberOfDecreasesToday: 0 })
})

test('billing is switched there and back, and the description says since when', async () => {
  const clock = new ManualClock()
  const asked = await asking({}, clock)
  const { ask } = asked
  const TableName = 'billed'
  await ask('CreateTable', { TableName, ...provisioned })
  expect(await describe(asked, TableName)).not.toHaveProperty('BillingModeSummary')
  clock.advance(5000)
  await ask('UpdateTable', { TableName, BillingMode: 'PAY_PER_REQUEST' })
  const since = clock.wall / 1000
  expect(await describe(asked, TableName)).toMatchObject({
    BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST', LastUpdateToPayPerRequestDateTime: since },
    ProvisionedThroughput: { ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
    WarmThroughput: { ReadUnitsPerSecond: 12_000, WriteUnitsPerSecond: 4000, Status: 'ACTIVE' },
  })
  const onDemand = { MaxReadRequestUnits: 50, MaxWriteRequestUnits: 20 }
  expect((await ask('UpdateTable', { TableName, OnDemandThroughput: onDemand })).status).toBe(200)
  expect((await describe(asked, TableName)).OnDemandThroughput).toEqual(onDemand)
  await ask('UpdateTable', { TableName, OnDemandThroughput: { MaxWriteRequestUnits: -1 } })
  expect((await describe(asked, TableName)).OnDemandThroughput).toEqual({ ...onDemand, MaxWriteRequestUnits: -1 })
  expect((await ask('UpdateTable', { TableName, BillingMode: 'PAY_PER_REQUEST' })).status).toBe(200)
  clock.advance(5000)
  const units = { ReadCapacityUnits: 1, WriteCapacityUnits: 2 }
  await ask('UpdateTable', { TableName, BillingMode: 'PROVISIONED', ProvisionedThroughput: units })
  const last = await describe(asked, TableName)
  expect(last).toMatchObject({
    BillingModeSummary: { BillingMode: 'PROVISIONED', LastUpdateToPayPerRequestDateTime: since },
    ProvisionedThroughput: units,
    WarmThroughput: { ReadUnitsPerSecond: 12_000, WriteUnitsPerSecond: 4000 },
  })
  expect(last).not.toHaveProperty('OnDemandThroughput')
})

test('class, protection and encryption are changed one at a time', async () => {
  const asked = await asking()
  const { ask } = asked
  const TableName = 'changed'
  await ask('CreateTable', { TableName, ...provisioned })
  const update = async (change: object) => {
    const { error, message } = await ask('UpdateTable', { TableName, ...change })
    return error && [error, message]
  }
  expect(await update({ TableClass: 'STANDARD_INFREQUENT_ACCESS' })).toBeUndefined()
  expect(await update({ DeletionProtectionEnabled: true })).toBeUndefined()
  expect(await update({ SSESpecification: { Enabled: true } })).toBeUndefined()
  expect(await describe(asked, TableName)).toMatchObject({
    TableClassSummary: { TableClass: 'STANDARD_INFREQUENT_ACCESS' },
    DeletionProtectionEnabled: true,
    SSEDescription: {
      Status: 'ENABLED',
      SSEType: 'KMS',
      KMSMasterKeyArn: expect.stringMatching(
        /^arn:aws:kms:us-east-1:123456789012:key\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      ),
    },
  })
  const kept = await ask('DeleteTable', { TableName })
  expect([kept.error, kept.message]).toEqual([
    'ValidationException',
    'Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.',
  ])
  const invalid = (message: string) => ['ValidationException', `One or more parameter values were invalid: ${message}`]
  const alone = (what: string) => invalid(`${what} must be the only operation in the request`)
  const off = { DeletionProtectionEnabled: false }
  const stream = { StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } }
  const wrong: [object, string[]][] = [
    [
      {},
      [
        'ValidationException',
        expect.stringMatching(
          /^At least one of ProvisionedThroughput, BillingMode, .* WarmThroughput or TableClass is required$/,
        ) as unknown as string,
      ],
    ],
    [{ WarmThroughput: {} }, ['ValidationException', expect.stringMatching(/^At least one of /) as unknown as string]],
    [{ ...off, SSESpecification: { Enabled: false } }, alone('Server-Side Encryption modification')],
    [{ ...off, TableClass: 'STANDARD' }, alone('TableClass modification')],
    [{ ...off, BillingMode: 'PAY_PER_REQUEST' }, alone('DeletionProtection modification')],
    [
      { WarmThroughput: { ReadUnitsPerSecond: 9 }, BillingMode: 'PAY_PER_REQUEST' },
      invalid('WarmThroughput must be the only operation in the request'),
    ],
    [
      { ...stream, BillingMode: 'PAY_PER_REQUEST' },
      invalid('You cannot modify stream status while updating table IOPS'),
    ],
    [
      { BillingMode: 'PROVISIONED' },
      invalid('ProvisionedThroughput must be specified when BillingMode is PROVISIONED'),
    ],
    [
      { OnDemandThroughput: { MaxReadRequestUnits: 5 } },
      invalid(
        'MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED',
      ),
    ],
    [
      { BillingMode: 'PAY_PER_REQUEST', OnDemandThroughput: { MaxReadRequestUnits: 0 } },
      invalid('Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range'),
    ],
    [
      { WarmThroughput: { WriteUnitsPerSecond: 4 } },
      invalid(
        'Requested WriteUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported',
      ),
    ],
    [
      { TableClass: 'GOLD' },
      [
        'ValidationException',
        'Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, STANDARD_INFREQUENT_ACCESS].',
      ],
    ],
    [
      { SSESpecification: { Enabled: true } },
      invalid(
        'Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change Master Key',
      ),
    ],
    [
      { SSESpecification: { Enabled: false, SSEType: 'KMS' } },
      invalid('SSEType can not be specified if Enabled is false'),
    ],
    [{ SSESpecification: { Enabled: true, SSEType: 'AES256' } }, invalid('SSEType AES256 is not supported')],
    [
      { StreamSpecification: { StreamEnabled: true } },
      invalid('If stream is being enabled then UpdateViewType is required'),
    ],
    [
      { StreamSpecification: { StreamEnabled: false } },
      ['ValidationException', `Table has no stream to disable: TableName: ${TableName}`],
    ],
    [
      { ReplicaUpdates: [{}], ...off },
      invalid('Exactly one of Create, Update and Delete must be specified in each of ReplicaUpdates'),
    ],
  ]
  for (const [change, answer] of wrong) expect(await update(change), JSON.stringify(change)).toEqual(answer)
  expect(await update({ SSESpecification: { Enabled: false } })).toBeUndefined()
  expect(await describe(asked, TableName)).not.toHaveProperty('SSEDescription')
  expect(await update(off)).toBeUndefined()
  expect((await ask('DeleteTable', { TableName })).status).toBe(200)
  const gone = await ask('UpdateTable', { TableName, ...off })
  expect([gone.error, gone.message]).toEqual([
    'ResourceNotFoundException',
    `Requested resource not found: Table: ${TableName} not found`,
  ])
})

test('warm throughput opens the stream with the shards that AWS would have, and raising it splits', async () => {
  const asked = await asking({ tables: { warmShardsMax: 40 } })
  const { ask } = asked
  const TableName = 'warm'
  const made = await ask<{ TableDescription: Described }>('CreateTable', {
    TableName,
    AttributeDefinitions: provisioned.AttributeDefinitions,
    KeySchema: provisioned.KeySchema,
    BillingMode: 'PAY_PER_REQUEST',
    WarmThroughput: { ReadUnitsPerSecond: 13_000, WriteUnitsPerSecond: 6001 },
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
  })
  expect(made.body.TableDescription.WarmThroughput).toEqual({
    ReadUnitsPerSecond: 13_000,
    WriteUnitsPerSecond: 6001,
    Status: 'UPDATING',
  })
  const { log } = asked.serving.daemon.rooms
  const stream = log.streamNamed(`table:${TableName}`)!
  const widths = () => log.openShards(stream.id).map(({ shard }) => (shard.high.hi - shard.low.hi + 1) / 2 ** 32)
  expect(widths()).toHaveLength(7)
  const raise = (ReadUnitsPerSecond: number) =>
    ask('UpdateTable', { TableName, WarmThroughput: { ReadUnitsPerSecond } })
  // AWS, too, takes the same again.
  expect((await raise(13_000)).status).toBe(200)
  expect(widths()).toHaveLength(7)
  expect((await raise(90_000)).body).toMatchObject({
    TableDescription: { TableStatus: 'ACTIVE', WarmThroughput: { ReadUnitsPerSecond: 13_000, Status: 'UPDATING' } },
  })
  expect(await describe(asked, TableName)).toMatchObject({
    WarmThroughput: { ReadUnitsPerSecond: 90_000, WriteUnitsPerSecond: 6001, Status: 'ACTIVE' },
  })
  expect(widths()).toHaveLength(30)
  expect(Math.max(...widths()) / Math.min(...widths())).toBeLessThan(1.5)
  await raise(3_000_000)
  expect(widths()).toHaveLength(40)
  expect(widths().reduce((sum, width) => sum + width, 0)).toBeCloseTo(1)
  const cold = await ask('CreateTable', {
    TableName: 'cold',
    AttributeDefinitions: provisioned.AttributeDefinitions,
    KeySchema: provisioned.KeySchema,
    BillingMode: 'PAY_PER_REQUEST',
    WarmThroughput: { ReadUnitsPerSecond: 11_999 },
  })
  expect([cold.error, cold.message]).toEqual([
    'ValidationException',
    expect.stringContaining(
      'Requested ReadUnitsPerSecond for WarmThroughput for table is lower than initial throughput for OnDemand.',
    ),
  ])
})

test('what a table was told outlives a restart', async () => {
  const clock = new ManualClock()
  const first = await asking({}, clock)
  const { dataDir } = first.serving.daemon.config
  await first.ask('CreateTable', { TableName: 'lasting', ...provisioned, Tags: [{ Key: 'a', Value: 'b' }] })
  await first.ask('UpdateTable', { TableName: 'lasting', SSESpecification: { Enabled: true } })
  await first.ask('UpdateTable', { TableName: 'lasting', WarmThroughput: { ReadUnitsPerSecond: 7000 } })
  const before = await describe(first, 'lasting')
  await first.serving.close()
  const second = await asking({ dataDir }, clock)
  expect(await describe(second, 'lasting')).toEqual(before)
  const ResourceArn = before.TableArn
  expect((await second.ask('ListTagsOfResource', { ResourceArn })).body).toEqual({ Tags: [{ Key: 'a', Value: 'b' }] })
})
