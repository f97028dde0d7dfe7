import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { describeIndexes, type IndexChange, keyAttributesOfTable } from '../indexes/index.js'
import { describeReplicas } from '../replication/describe-replicas.js'
import type { KeySchema } from '../values/index.js'
import { describeEncryption } from './encryption.js'
import { statusOf } from './table-status.js'
import { describeOnDemand, describeThroughput } from './throughput.js'
import { describeWarm, warmOf } from './warm-throughput.js'

/** TableDescription, as DescribeTable shows it at a time (milliseconds since 1970); `changes`: of its indexes. */
export function describeTable(
  catalogue: Catalogue,
  row: TableRow,
  now: number,
  changes: readonly IndexChange[] = [],
): object {
  const status = statusOf(row, now)
  const { details } = row
  return {
    AttributeDefinitions: keyAttributesOfTable(row).map(({ name, type }) => ({
      AttributeName: name,
      AttributeType: type,
    })),
    TableName: row.name,
    KeySchema: keysOf(row.schema),
    TableStatus: status,
    CreationDateTime: row.createdAt / 1000,
    ProvisionedThroughput: describeThroughput(row, now),
    TableSizeBytes: details?.counted?.bytes ?? 0,
    ItemCount: details?.counted?.items ?? 0,
    TableArn: catalogue.tableArn(row.name),
    TableId: row.uuid,
    ...describeBilling(row, status === 'CREATING'),
    ...describeStream(catalogue, row),
    ...describeIndexes(row, catalogue.tableArn(row.name), { isNew: status === 'CREATING', changes }),
    ...describeEncryption(details?.encryption),
    ...describeReplicas(row, catalogue.replicaStatus),
    ...(row.tableClass ? { TableClassSummary: { TableClass: row.tableClass } } : {}),
    ...describeOnDemand(details?.onDemand),
    // A table that is being made shows it only where it was asked for.
    ...(status !== 'CREATING'
      ? describeWarm(warmOf(row), 'ACTIVE')
      : details?.shards === undefined
        ? {}
        : describeWarm(warmOf(row), 'UPDATING')),
    DeletionProtectionEnabled: row.deletionProtection,
  }
}

/** What DeleteTable answers: of a table that goes AWS shows neither keys nor indexes, nor when it was made. */
export function describeDeletedTable(catalogue: Catalogue, row: TableRow, now: number): object {
  const described: Record<string, unknown> = { ...describeTable(catalogue, row, now) }
  for (const member of notOfDeleted) delete described[member]
  return described
}

const notOfDeleted = [
  'AttributeDefinitions',
  'KeySchema',
  'CreationDateTime',
  'LocalSecondaryIndexes',
  'GlobalSecondaryIndexes',
]

/** The summary is shown of a table that is, or once was, on demand. */
function describeBilling({ billing, createdAt, details }: TableRow, isNew: boolean): object {
  const onDemandAt = details?.onDemandAt ?? (billing === 'PAY_PER_REQUEST' ? createdAt : undefined)
  if (onDemandAt === undefined) return {}
  const since = isNew ? {} : { LastUpdateToPayPerRequestDateTime: onDemandAt / 1000 }
  return { BillingModeSummary: { BillingMode: billing, ...since } }
}

function describeStream(catalogue: Catalogue, { name, label, latestLabel }: TableRow): object {
  if (latestLabel === undefined) return {}
  const arn = (of: string) => catalogue.streamArn({ tableName: name, label: of })
  const view = label === undefined ? undefined : catalogue.awsStream(arn(label))?.view
  return {
    LatestStreamLabel: latestLabel,
    LatestStreamArn: arn(latestLabel),
    ...(view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: view } } : {}),
  }
}

export function keysOf({ hash, range }: KeySchema): object[] {
  return [
    { AttributeName: hash.name, KeyType: 'HASH' },
    ...(range ? [{ AttributeName: range.name, KeyType: 'RANGE' }] : []),
  ]
}
