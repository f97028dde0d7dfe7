import { expect, test } from 'vitest'
import { asking } from '../asking.js'

test('what is not here is answered as AWS answers that there are none', async () => {
  const { ask, table, url } = await asking()
  const TableName = await table()
  const ResourceArn = `arn:aws:dynamodb:us-east-1:123456789012:table/${TableName}`
  const StreamArn = 'arn:aws:kinesis:us-east-1:123456789012:stream/away'
  const host = new URL(url).host
  const answers: [string, object, object][] = [
    ['DescribeEndpoints', {}, { Endpoints: [{ Address: host, CachePeriodInMinutes: 1440 }] }],
    [
      'DescribeLimits',
      {},
      {
        AccountMaxReadCapacityUnits: 80_000,
        AccountMaxWriteCapacityUnits: 80_000,
        TableMaxReadCapacityUnits: 40_000,
        TableMaxWriteCapacityUnits: 40_000,
      },
    ],
    ['DescribeKinesisStreamingDestination', { TableName }, { TableName, KinesisDataStreamDestinations: [] }],
    ['DescribeContributorInsights', { TableName }, { TableName, ContributorInsightsStatus: 'DISABLED' }],
    ['ListContributorInsights', {}, { ContributorInsightsSummaries: [] }],
    ['ListBackups', {}, { BackupSummaries: [] }],
    ['ListExports', {}, { ExportSummaries: [] }],
    ['ListImports', {}, { ImportSummaryList: [] }],
    ['ListGlobalTables', {}, { GlobalTables: [] }],
    ['DeleteResourcePolicy', { ResourceArn }, {}],
  ]
  for (const [operation, input, body] of answers) expect((await ask(operation, input)).body, operation).toEqual(body)
  const backups = {
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: 'ENABLED',
      PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: 'DISABLED' },
    },
  }
  expect((await ask('DescribeContinuousBackups', { TableName: ResourceArn })).body).toEqual(backups)
  const recovery = (on: boolean, name = TableName) =>
    ask('UpdateContinuousBackups', {
      TableName: name,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: on },
    })
  expect((await recovery(false)).body).toEqual(backups)
  const errors: [string, object, string][] = [
    ['DescribeContinuousBackups', { TableName: 'nowhere' }, 'TableNotFoundException'],
    ['GetResourcePolicy', { ResourceArn }, 'PolicyNotFoundException'],
    ['GetResourcePolicy', { ResourceArn: `${ResourceArn}x` }, 'ResourceNotFoundException'],
    ['DescribeTableReplicaAutoScaling', { TableName }, 'ResourceNotFoundException'],
    ['DescribeGlobalTable', { GlobalTableName: 'nowhere' }, 'GlobalTableNotFoundException'],
    ['DescribeBackup', { BackupArn: `${ResourceArn}/backup/01` }, 'BackupNotFoundException'],
    ['DescribeExport', { ExportArn: `${ResourceArn}/export/01` }, 'ExportNotFoundException'],
    ['DescribeImport', { ImportArn: `${ResourceArn}/import/01` }, 'ImportNotFoundException'],
    ['EnableKinesisStreamingDestination', { TableName, StreamArn }, 'ValidationException'],
    ['DisableKinesisStreamingDestination', { TableName, StreamArn }, 'ValidationException'],
    ['EnableKinesisStreamingDestination', { TableName: 'nowhere', StreamArn }, 'ResourceNotFoundException'],
    ['UpdateKinesisStreamingDestination', { TableName, StreamArn }, 'ValidationException'],
    ['ListBackups', { Limit: 0 }, 'ValidationException'],
    ['CreateBackup', { TableName, BackupName: 'mine' }, 'UnknownOperationException'],
    ['ExportTableToPointInTime', { TableArn: ResourceArn }, 'UnknownOperationException'],
  ]
  for (const [operation, input, error] of errors) expect((await ask(operation, input)).error, operation).toBe(error)
  expect((await recovery(true)).error).toBe('ContinuousBackupsUnavailableException')
  expect((await recovery(false, 'nowhere')).error).toBe('TableNotFoundException')
})

test('a table is named by its ARN wherever AWS takes one, and by that of another place nowhere', async () => {
  const { ask, table } = await asking({ aws: { region: 'eu-west-1', accountId: '123456789012' } })
  const name = await table()
  const arn = (region = 'eu-west-1', account = '123456789012', resource = `table/${name}`) =>
    `arn:aws:dynamodb:${region}:${account}:${resource}`
  const TableName = arn()
  const key = { pk: { S: 'a' } }
  const requests: [string, object][] = [
    ['PutItem', { TableName, Item: key }],
    ['GetItem', { TableName, Key: key }],
    ['UpdateItem', { TableName, Key: key }],
    ['Query', { TableName, KeyConditionExpression: 'pk = :a', ExpressionAttributeValues: { ':a': { S: 'a' } } }],
    ['Scan', { TableName }],
    ['BatchGetItem', { RequestItems: { [TableName]: { Keys: [key] } } }],
    ['BatchWriteItem', { RequestItems: { [TableName]: [{ PutRequest: { Item: key } }] } }],
    ['DeleteItem', { TableName, Key: key }],
    ['DescribeTimeToLive', { TableName }],
    ['UpdateTimeToLive', { TableName, TimeToLiveSpecification: { AttributeName: 't', Enabled: true } }],
    ['DescribeContinuousBackups', { TableName }],
    ['UpdateTable', { TableName, DeletionProtectionEnabled: false }],
  ]
  for (const [operation, input] of requests) {
    expect((await ask(operation, input)).status, operation).toBe(200)
    const elsewhere = (place: string) => JSON.parse(JSON.stringify(input).replaceAll(TableName, place)) as object
    for (const [place, error, message] of [
      [
        arn('us-east-1'),
        'ValidationException',
        `1 validation error detected: Invalid AWS region in '${arn('us-east-1')}'`,
      ],
      [arn('eu-west-1', '999999999999'), 'AccessDeniedException', 'Access is denied'],
      [
        arn('eu-west-1', '123456789012', `table/${name}/index/by`),
        'ValidationException',
        expect.stringContaining('Invalid resource type') as unknown as string,
      ],
    ] as const) {
      const refused = await ask(operation, elsewhere(place))
      expect([refused.error, refused.message], `${operation} ${place}`).toEqual([error, message])
    }
  }
  const described = await ask<{ Table: { TableName: string; TableArn: string } }>('DescribeTable', { TableName })
  expect(described.body.Table).toMatchObject({ TableName: name, TableArn: TableName })
  expect((await ask('DeleteTable', { TableName })).status).toBe(200)
  expect((await ask('CreateTable', { TableName })).error).toBe('ValidationException')
})

test('ListTables refuses what no table can be called, and pages without a gap', async () => {
  const { ask, table } = await asking()
  const names: string[] = []
  for (let i = 0; i < 5; i++) names.push(await table())
  const found: string[] = []
  let ExclusiveStartTableName: string | undefined
  do {
    const { body } = await ask<{ TableNames: string[]; LastEvaluatedTableName?: string }>('ListTables', {
      Limit: 2,
      ExclusiveStartTableName,
    })
    found.push(...body.TableNames)
    ExclusiveStartTableName = body.LastEvaluatedTableName
  } while (ExclusiveStartTableName !== undefined)
  expect(found).toEqual(names)
  expect((await ask('ListTables', { ExclusiveStartTableName: 'a;', Limit: 500 })).message).toBe(
    "3 validation errors detected: Value 'a;' at 'exclusiveStartTableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
      "Value 'a;' at 'exclusiveStartTableName' failed to satisfy constraint: Member must have length greater than or equal to 3; " +
      "Value '500' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100",
  )
})
