import { expect, test } from 'vitest'
import { asking } from '../asking.js'
import { aLabel, aTableId, aTime, bodyOf, described, streamArn, tableArn, tableOf } from './recorded.js'

test('a table asked for with a warm throughput says so, made and then ready', async () => {
  const { ask } = await asking()
  const WarmThroughput = { ReadUnitsPerSecond: 1000, WriteUnitsPerSecond: 1200 }
  const created = await ask('CreateTable', { ...tableOf('warm'), WarmThroughput })
  expect(bodyOf(created)).toEqual({
    TableDescription: {
      ...described('warm'),
      WarmThroughput: { ...WarmThroughput, Status: expect.stringMatching(/^(UPDATING|ACTIVE)$/) },
    },
  })
  expect(bodyOf(await ask('DescribeTable', { TableName: 'warm' }))).toEqual({
    Table: { ...described('warm'), TableStatus: 'ACTIVE', WarmThroughput: { ...WarmThroughput, Status: 'ACTIVE' } },
  })
})

test('a table on demand with a stream is described as AWS describes it', async () => {
  const { ask } = await asking()
  const { ProvisionedThroughput: _, ...request } = tableOf('demand', 'NEW_AND_OLD_IMAGES')
  bodyOf(await ask('CreateTable', { ...request, BillingMode: 'PAY_PER_REQUEST' }))
  expect(bodyOf(await ask('DescribeTable', { TableName: 'demand' }))).toEqual({
    Table: {
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST', LastUpdateToPayPerRequestDateTime: aTime },
      CreationDateTime: aTime,
      DeletionProtectionEnabled: false,
      ItemCount: 0,
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      LatestStreamArn: streamArn('demand'),
      LatestStreamLabel: aLabel,
      ProvisionedThroughput: { NumberOfDecreasesToday: 0, ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      TableArn: tableArn('demand'),
      TableId: aTableId,
      TableName: 'demand',
      TableSizeBytes: 0,
      TableStatus: 'ACTIVE',
      WarmThroughput: { ReadUnitsPerSecond: 12_000, Status: 'ACTIVE', WriteUnitsPerSecond: 4000 },
    },
  })
})

test('contributor insights are off, and no stream of Kinesis follows a table', async () => {
  const { ask } = await asking()
  const name = 'followed'
  await ask('CreateTable', tableOf(name))
  expect(bodyOf(await ask('DescribeContributorInsights', { TableName: name }))).toEqual({
    ContributorInsightsStatus: 'DISABLED',
    TableName: name,
  })
  const StreamArn = 'arn:aws:kinesis:us-east-1:123456789012:stream/followed'
  const update = (configuration: object, arn = StreamArn) =>
    ask('UpdateKinesisStreamingDestination', {
      TableName: name,
      StreamArn: arn,
      ...configuration,
    })
  const refused: [Promise<{ error: string | undefined; message: string | undefined }>, string, string][] = [
    [
      ask('EnableKinesisStreamingDestination', { TableName: 'bad-table', StreamArn }),
      'ResourceNotFoundException',
      'Requested resource not found: Table: bad-table not found',
    ],
    [
      ask('DisableKinesisStreamingDestination', { TableName: 'bad-table', StreamArn }),
      'ResourceNotFoundException',
      'Requested resource not found: Table: bad-table not found',
    ],
    [
      update({}),
      'ValidationException',
      'Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot be null or contain only null values',
    ],
    [
      update({ UpdateKinesisStreamingConfiguration: { ApproximateCreationDateTimePrecision: 'SECOND' } }),
      'ValidationException',
      "1 validation error detected: Value 'SECOND' at 'updateKinesisStreamingConfiguration.approximateCreationDateTimePrecision' failed to satisfy constraint: Member must satisfy enum value set: [MILLISECOND, MICROSECOND]",
    ],
    [
      update({ UpdateKinesisStreamingConfiguration: { ApproximateCreationDateTimePrecision: 'MICROSECOND' } }),
      'ValidationException',
      `Table is not in a valid state to enable Kinesis Streaming Destination: No streaming destination with streamArn: ${StreamArn} found for table with tableName: ${name}`,
    ],
  ]
  for (const [asked, error, message] of refused) expect(await asked).toMatchObject({ error, message })
})

test('encryption with a key of KMS is shown, stays through other updates, and goes when it is switched off', async () => {
  const { ask } = await asking()
  const name = 'encrypted'
  type Table = { SSEDescription?: object }
  const shown = (Status: string) => ({
    KMSMasterKeyArn: expect.stringMatching(/^arn:aws:kms:us-east-1:\d{12}:key\/[0-9a-f-]{36}$/),
    SSEType: 'KMS',
    Status: expect.stringMatching(new RegExp(`^(${Status})$`)),
  })
  const created = await ask<{ TableDescription: Table }>('CreateTable', {
    ...tableOf(name),
    SSESpecification: { Enabled: true },
  })
  expect(bodyOf(created).TableDescription.SSEDescription).toEqual(shown('ENABLED'))
  const update = async (change: object) =>
    bodyOf(await ask<{ TableDescription: Table }>('UpdateTable', { TableName: name, ...change })).TableDescription
  expect((await update({ BillingMode: 'PAY_PER_REQUEST' })).SSEDescription).toEqual(shown('ENABLED'))
  expect((await update({ SSESpecification: { Enabled: false } })).SSEDescription).toEqual(shown('UPDATING|DISABLED'))
  const described = bodyOf(await ask<{ Table: Table }>('DescribeTable', { TableName: name }))
  expect(described.Table.SSEDescription).toBeUndefined()
})
