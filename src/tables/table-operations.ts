import { AwsError, notFound, validation } from './aws-error.js'
import type { Backfills } from './backfill.js'
import type { Catalogue, TableRow, ViewType } from './catalogue.js'
import {
  describeIndexes,
  type IndexChange,
  indexesOfTable,
  keyAttributesOfTable,
  readIndexes,
  readIndexUpdates,
  updateIndexes,
} from './indexes/index.js'
import { keySchemaOf, readKeySchema } from './key-schema.js'
import {
  atMost,
  Constraints,
  checkTableName,
  describedTableName,
  flag,
  type Input,
  object,
  oneOf,
  tableName,
  text,
  whole,
} from './request.js'
import type { KeySchema } from './values/index.js'

const capacityUnitsMax = 1_000_000_000_000
const views: readonly ViewType[] = ['NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES', 'KEYS_ONLY']

/** CreateTable, DescribeTable, UpdateTable, DeleteTable, ListTables and what tools ask beside them. */
export class TableOperations {
  readonly #catalogue: Catalogue
  readonly #backfills: Backfills

  constructor(catalogue: Catalogue, backfills: Backfills) {
    this.#catalogue = catalogue
    this.#backfills = backfills
  }

  async create(input: Input): Promise<object> {
    describedTableName(input, { created: true })
    const constraints = new Constraints()
    const { elements, definitions } = readKeySchema(input, constraints)
    const wantedIndexes = readIndexes(input, constraints)
    const name = tableName(input, constraints, { created: true })
    const billing =
      oneOf(input, 'BillingMode', 'billingMode', ['PROVISIONED', 'PAY_PER_REQUEST'], constraints) ?? 'PROVISIONED'
    const tableClass = oneOf(input, 'TableClass', 'tableClass', ['STANDARD', 'STANDARD_INFREQUENT_ACCESS'], constraints)
    const throughput = throughputOf(input, constraints)
    const view = viewOf(input, constraints)
    constraints.done()
    refuseUnsupported(input)
    if (billing === 'PROVISIONED' && !throughput) {
      throw validation(
        'One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED',
      )
    }
    if (billing === 'PAY_PER_REQUEST' && throughput) throw notOnDemand()
    refuseOutOfBounds(throughput)
    const hasIndexes = wantedIndexes.local !== undefined || wantedIndexes.global !== undefined
    const schema = keySchemaOf(elements, definitions, hasIndexes)
    const indexes = indexesOfTable(wantedIndexes, schema, definitions, billing)
    const wanted = {
      name,
      schema,
      billing,
      throughput: throughput ?? { read: 0, write: 0 },
      deletionProtection: flag(input, 'DeletionProtectionEnabled') ?? false,
      ...(tableClass ? { tableClass } : {}),
      ...(indexes.length > 0 ? { indexes, nextIndex: indexes.length + 1 } : {}),
    }
    const row = await this.#catalogue.create(wanted, view === 'off' ? undefined : view)
    return { TableDescription: { ...this.describe(row, { isNew: true }), TableStatus: 'CREATING' } }
  }

  async describeTable(input: Input): Promise<object> {
    return { Table: this.describe(this.#row(input)) }
  }

  async delete(input: Input): Promise<object> {
    const row = this.#row(input)
    const described = this.describe(await this.#catalogue.delete(row.name))
    return { TableDescription: { ...described, TableStatus: 'DELETING' } }
  }

  async list(input: Input): Promise<object> {
    const constraints = new Constraints()
    const limit = atMost(input, 'Limit', 'limit', 100, constraints) ?? 100
    const start = text(input, 'ExclusiveStartTableName')
    if (start !== undefined) checkTableName(start, 'exclusiveStartTableName', constraints)
    constraints.done()
    const names = this.#catalogue
      .names()
      .filter((name) => start === undefined || Buffer.compare(Buffer.from(name), Buffer.from(start)) > 0)
    const page = names.slice(0, limit)
    return { TableNames: page, ...(names.length > limit ? { LastEvaluatedTableName: page[page.length - 1] } : {}) }
  }

  /** The stream on or off; billing, throughput, class and protection are described as asked. */
  async update(input: Input): Promise<object> {
    const name = describedTableName(input)
    const constraints = new Constraints()
    tableName({ TableName: name }, constraints)
    const billing = oneOf(input, 'BillingMode', 'billingMode', ['PROVISIONED', 'PAY_PER_REQUEST'], constraints)
    const tableClass = oneOf(input, 'TableClass', 'tableClass', ['STANDARD', 'STANDARD_INFREQUENT_ACCESS'], constraints)
    const throughput = throughputOf(input, constraints)
    const view = viewOf(input, constraints)
    const { updates, done } = readIndexUpdates(input, constraints)
    constraints.done()
    refuseUnsupported(input)
    const protection = flag(input, 'DeletionProtectionEnabled')
    const changesIndexes = updates.given === 'entries'
    if (!billing && !tableClass && !throughput && !view && protection === undefined && !changesIndexes) {
      throw validation(
        'At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required',
      )
    }
    if (updates.given === 'empty')
      throw validation('One or more parameter values were invalid: List of GlobalSecondaryIndexUpdates is empty')
    done()
    if (updates.actions.some(({ kind }) => kind !== 'update')) {
      if (throughput) throw validation('You cannot create or delete index while updating table IOPS')
      if (view) throw validation('You cannot create or delete index while changing stream status')
      if (protection !== undefined)
        throw validation('DeletionProtection modification must be the only operation in the request')
      if (tableClass) throw validation('TableClass modification must be the only operation in the request')
    }
    const before = this.#row(input)
    if (billing === 'PROVISIONED' && before.billing !== 'PROVISIONED' && !throughput)
      throw validation(
        'One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED',
      )
    if (throughput && (billing ?? before.billing) === 'PAY_PER_REQUEST') throw notOnDemand()
    refuseOutOfBounds(throughput)
    if (throughput && before.billing === 'PROVISIONED') refuseSameThroughput(before.throughput, throughput)
    let row = before
    let changes: readonly IndexChange[] = []
    if (view === 'off') row = await this.#catalogue.disableStream(name)
    else if (view) row = await this.#catalogue.enableStream(name, view)
    if (billing || tableClass || throughput || protection !== undefined || changesIndexes) {
      row = await this.#catalogue.change(name, (present) => {
        const indexed = updateIndexes(present, updates, { billing: billing ?? present.billing })
        changes = indexed.changes
        return {
          ...indexed.row,
          ...(billing ? { billing } : {}),
          ...(tableClass ? { tableClass } : {}),
          ...(throughput ? { throughput } : billing === 'PAY_PER_REQUEST' ? { throughput: { read: 0, write: 0 } } : {}),
          ...(protection === undefined ? {} : { deletionProtection: protection }),
        }
      })
    }
    // Described before the backfill begins, which may be done at once.
    const onlyThroughput = changesIndexes && changes.every(({ status }) => status === 'UPDATING')
    const description = { ...this.describe(row, { changes }), TableStatus: onlyThroughput ? 'ACTIVE' : 'UPDATING' }
    const table = this.#catalogue.find(name)
    if (table) this.#backfills.wake(table)
    return { TableDescription: description }
  }

  async describeTimeToLive(input: Input): Promise<object> {
    this.#row(input)
    return { TimeToLiveDescription: { TimeToLiveStatus: 'DISABLED' } }
  }

  async describeContinuousBackups(input: Input): Promise<object> {
    this.#row(input)
    return {
      ContinuousBackupsDescription: {
        ContinuousBackupsStatus: 'ENABLED',
        PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: 'DISABLED' },
      },
    }
  }

  async listTags(input: Input): Promise<object> {
    const arn = text(input, 'ResourceArn') ?? ''
    const name = arn.slice(arn.indexOf(':table/') + ':table/'.length)
    if (!this.#catalogue.find(name))
      throw new AwsError(
        'com.amazonaws.dynamodb.v20120810#ResourceNotFoundException',
        `Requested resource not found: ResourcArn: ${arn} not found`,
      )
    return { Tags: [] }
  }

  describe(row: TableRow, options: Parameters<typeof describeIndexes>[2] = {}): object {
    const view =
      row.label === undefined
        ? undefined
        : this.#catalogue.awsStream(this.#catalogue.streamArn({ tableName: row.name, label: row.label }))?.view
    return {
      AttributeDefinitions: keyAttributesOfTable(row).map(({ name, type }) => ({
        AttributeName: name,
        AttributeType: type,
      })),
      TableName: row.name,
      KeySchema: keysOf(row.schema),
      TableStatus: 'ACTIVE',
      CreationDateTime: row.createdAt / 1000,
      ProvisionedThroughput: {
        NumberOfDecreasesToday: 0,
        ReadCapacityUnits: row.throughput.read,
        WriteCapacityUnits: row.throughput.write,
      },
      TableSizeBytes: 0,
      ItemCount: 0,
      TableArn: this.#catalogue.tableArn(row.name),
      TableId: row.uuid,
      ...(row.billing === 'PAY_PER_REQUEST'
        ? { BillingModeSummary: { BillingMode: row.billing, LastUpdateToPayPerRequestDateTime: row.createdAt / 1000 } }
        : {}),
      ...(row.latestLabel === undefined
        ? {}
        : {
            LatestStreamLabel: row.latestLabel,
            LatestStreamArn: this.#catalogue.streamArn({ tableName: row.name, label: row.latestLabel }),
          }),
      ...describeIndexes(row, this.#catalogue.tableArn(row.name), options),
      ...(view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: view } } : {}),
      ...(row.tableClass ? { TableClassSummary: { TableClass: row.tableClass } } : {}),
      DeletionProtectionEnabled: row.deletionProtection,
    }
  }

  #row(input: Input): TableRow {
    const name = describedTableName(input)
    const constraints = new Constraints()
    tableName({ TableName: name }, constraints)
    constraints.done()
    const table = this.#catalogue.find(name)
    if (!table) throw notFound(`Requested resource not found: Table: ${name} not found`)
    return table.row
  }
}

export function keysOf({ hash, range }: KeySchema): object[] {
  return [
    { AttributeName: hash.name, KeyType: 'HASH' },
    ...(range ? [{ AttributeName: range.name, KeyType: 'RANGE' }] : []),
  ]
}

const notOnDemand = (): Error =>
  validation(
    'One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST',
  )

interface Throughput {
  readonly read: number
  readonly write: number
}

function refuseOutOfBounds(throughput: Throughput | undefined): void {
  if (!throughput) return
  const { read, write } = throughput
  if (read > capacityUnitsMax) throw validation(`Given value ${read} for ReadCapacityUnits is out of bounds`)
  if (write > capacityUnitsMax) throw validation(`Given value ${write} for WriteCapacityUnits is out of bounds`)
}

function refuseSameThroughput(before: Throughput, wanted: Throughput): void {
  if (before.read !== wanted.read || before.write !== wanted.write) return
  throw validation(
    'The provisioned throughput for the table will not change. The requested value equals the current value. ' +
      `Current ReadCapacityUnits provisioned for the table: ${before.read}. Requested ReadCapacityUnits: ${wanted.read}. ` +
      `Current WriteCapacityUnits provisioned for the table: ${before.write}. Requested WriteCapacityUnits: ${wanted.write}. ` +
      'Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.',
  )
}

/** What is asked for and not there yet is refused: a table without its index would answer wrongly. */
function refuseUnsupported(input: Input): void {
  for (const name of [
    'ReplicaUpdates',
    'GlobalTableWitnessUpdates',
    'MultiRegionConsistency',
    'OnDemandThroughput',
    'ResourcePolicy',
    'SSESpecification',
    'Tags',
    'WarmThroughput',
  ]) {
    const value = input[name]
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue
    // Nothing is encrypted, and nothing else is asked for.
    if (name === 'SSESpecification' && (value as { Enabled?: unknown }).Enabled === false) continue
    throw validation(`${name} is not supported by this version of Millrace; LIMITATIONS.md lists what is not there yet`)
  }
}

function throughputOf(input: Input, constraints: Constraints): { read: number; write: number } | undefined {
  const given = object(input, 'ProvisionedThroughput')
  if (!given) return undefined
  const unit = (name: string, member: string): number => {
    const value = whole(given, name)
    constraints.check(value !== undefined, `provisionedThroughput.${member}`, undefined, 'Member must not be null')
    constraints.check(
      value === undefined || value >= 1,
      `provisionedThroughput.${member}`,
      value,
      'Member must have value greater than or equal to 1',
    )
    return value ?? 0
  }
  return {
    read: unit('ReadCapacityUnits', 'readCapacityUnits'),
    write: unit('WriteCapacityUnits', 'writeCapacityUnits'),
  }
}

function viewOf(input: Input, constraints: Constraints): ViewType | 'off' | undefined {
  const given = object(input, 'StreamSpecification')
  if (!given) return undefined
  const view = oneOf(given, 'StreamViewType', 'streamSpecification.streamViewType', views, constraints)
  const isOn = flag(given, 'StreamEnabled')
  constraints.check(isOn !== undefined, 'streamSpecification.streamEnabled', undefined, 'Member must not be null')
  if (isOn === true && view === undefined) {
    constraints.done()
    throw validation('One or more parameter values were invalid: StreamEnabled is true but StreamViewType is null')
  }
  if (isOn === false && view !== undefined) {
    constraints.done()
    throw validation('One or more parameter values were invalid: StreamEnabled is false but StreamViewType is not null')
  }
  return isOn ? view : 'off'
}
