import { AwsError, notFound, validation } from './aws-error.js'
import type { Catalogue, TableRow, ViewType } from './catalogue.js'
import { atMost, Constraints, flag, type Input, list, object, oneOf, tableName, text, whole } from './request.js'
import type { KeyAttribute, KeySchema, KeyType } from './values/index.js'

const keyNameBytesMax = 255
const views: readonly ViewType[] = ['NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES', 'KEYS_ONLY']

/** CreateTable, DescribeTable, UpdateTable, DeleteTable, ListTables and what tools ask beside them. */
export class TableOperations {
  readonly #catalogue: Catalogue

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  async create(input: Input): Promise<object> {
    const constraints = new Constraints()
    const name = tableName(input, constraints, { created: true })
    const keySchema = list(input, 'KeySchema')
    constraints.check(keySchema !== undefined, 'keySchema', undefined, 'Member must not be null')
    constraints.check(
      keySchema === undefined || keySchema.length >= 1,
      'keySchema',
      [],
      'Member must have length greater than or equal to 1',
    )
    constraints.check(
      keySchema === undefined || keySchema.length <= 2,
      'keySchema',
      keySchema,
      'Member must have length less than or equal to 2',
    )
    const billing =
      oneOf(input, 'BillingMode', 'billingMode', ['PROVISIONED', 'PAY_PER_REQUEST'], constraints) ?? 'PROVISIONED'
    const tableClass = oneOf(input, 'TableClass', 'tableClass', ['STANDARD', 'STANDARD_INFREQUENT_ACCESS'], constraints)
    const throughput = throughputOf(input, constraints)
    const view = viewOf(input, constraints)
    constraints.done()
    refuseUnsupported(input)
    const schema = schemaOf(keySchema as readonly unknown[], list(input, 'AttributeDefinitions') ?? [])
    if (billing === 'PROVISIONED' && !throughput) {
      throw validation('No provisioned throughput specified for the table')
    }
    if (billing === 'PAY_PER_REQUEST' && throughput) {
      throw validation(
        'One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST',
      )
    }
    const wanted = {
      name,
      schema,
      billing,
      throughput: throughput ?? { read: 0, write: 0 },
      deletionProtection: flag(input, 'DeletionProtectionEnabled') ?? false,
      ...(tableClass ? { tableClass } : {}),
    }
    const row = await this.#catalogue.create(wanted, view === 'off' ? undefined : view)
    return { TableDescription: { ...this.describe(row), TableStatus: 'CREATING' } }
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
    constraints.done()
    const names = this.#catalogue
      .names()
      .filter((name) => start === undefined || Buffer.compare(Buffer.from(name), Buffer.from(start)) > 0)
    const page = names.slice(0, limit)
    return { TableNames: page, ...(names.length > limit ? { LastEvaluatedTableName: page[page.length - 1] } : {}) }
  }

  /** The stream on or off; billing, throughput, class and protection are described as asked. */
  async update(input: Input): Promise<object> {
    const constraints = new Constraints()
    const name = tableName(input, constraints)
    const billing = oneOf(input, 'BillingMode', 'billingMode', ['PROVISIONED', 'PAY_PER_REQUEST'], constraints)
    const tableClass = oneOf(input, 'TableClass', 'tableClass', ['STANDARD', 'STANDARD_INFREQUENT_ACCESS'], constraints)
    const throughput = throughputOf(input, constraints)
    const view = viewOf(input, constraints)
    constraints.done()
    refuseUnsupported(input)
    const protection = flag(input, 'DeletionProtectionEnabled')
    if (!billing && !tableClass && !throughput && !view && protection === undefined) {
      throw validation(
        'At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required',
      )
    }
    const before = this.#row(input)
    if (billing === 'PROVISIONED' && before.billing !== 'PROVISIONED' && !throughput)
      throw validation(
        'One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED',
      )
    if (throughput && (billing ?? before.billing) === 'PAY_PER_REQUEST') {
      throw validation(
        'One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST',
      )
    }
    let row = before
    if (view === 'off') row = await this.#catalogue.disableStream(name)
    else if (view) row = await this.#catalogue.enableStream(name, view)
    if (billing || tableClass || throughput || protection !== undefined) {
      row = await this.#catalogue.change(name, (present) => ({
        ...present,
        ...(billing ? { billing } : {}),
        ...(tableClass ? { tableClass } : {}),
        ...(throughput ? { throughput } : billing === 'PAY_PER_REQUEST' ? { throughput: { read: 0, write: 0 } } : {}),
        ...(protection === undefined ? {} : { deletionProtection: protection }),
      }))
    }
    return { TableDescription: { ...this.describe(row), TableStatus: 'UPDATING' } }
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

  describe(row: TableRow): object {
    const { hash, range } = row.schema
    const keys: KeyAttribute[] = range ? [hash, range] : [hash]
    const view =
      row.label === undefined
        ? undefined
        : this.#catalogue.awsStream(this.#catalogue.streamArn({ tableName: row.name, label: row.label }))?.view
    return {
      AttributeDefinitions: keys
        .map(({ name, type }) => ({ AttributeName: name, AttributeType: type }))
        .sort((a, b) => (a.AttributeName < b.AttributeName ? -1 : 1)),
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
      ...(view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: view } } : {}),
      ...(row.tableClass ? { TableClassSummary: { TableClass: row.tableClass } } : {}),
      DeletionProtectionEnabled: row.deletionProtection,
    }
  }

  #row(input: Input): TableRow {
    const constraints = new Constraints()
    const name = tableName(input, constraints)
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

/** What is asked for and not there yet is refused: a table without its index would answer wrongly. */
function refuseUnsupported(input: Input): void {
  for (const name of [
    'LocalSecondaryIndexes',
    'GlobalSecondaryIndexes',
    'GlobalSecondaryIndexUpdates',
    'ReplicaUpdates',
    'GlobalTableWitnessUpdates',
    'MultiRegionConsistency',
  ]) {
    const value = input[name]
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue
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

function schemaOf(keySchema: readonly unknown[], definitions: readonly unknown[]): KeySchema {
  const types = new Map<string, string>()
  for (const each of definitions as { AttributeName?: unknown; AttributeType?: unknown }[]) {
    const constraints = new Constraints()
    constraints.check(
      typeof each?.AttributeName === 'string',
      'attributeDefinitions.1.member.attributeName',
      undefined,
      'Member must not be null',
    )
    constraints.check(
      ['S', 'N', 'B'].includes(each?.AttributeType as string),
      'attributeDefinitions.1.member.attributeType',
      each?.AttributeType,
      'Member must satisfy enum value set: [B, N, S]',
    )
    constraints.done()
    if (types.has(each.AttributeName as string)) throw validation('Cannot have two attributes with the same name')
    types.set(each.AttributeName as string, each.AttributeType as string)
  }
  const entries = keySchema as { AttributeName?: unknown; KeyType?: unknown }[]
  const constraints = new Constraints()
  entries.forEach((entry, i) => {
    constraints.check(
      ['HASH', 'RANGE'].includes(entry?.KeyType as string),
      `keySchema.${i + 1}.member.keyType`,
      entry?.KeyType,
      'Member must satisfy enum value set: [HASH, RANGE]',
    )
    constraints.check(
      typeof entry?.AttributeName === 'string',
      `keySchema.${i + 1}.member.attributeName`,
      undefined,
      'Member must not be null',
    )
  })
  constraints.done()
  const [first, second] = entries
  if (first?.KeyType !== 'HASH')
    throw validation('Invalid KeySchema: The first KeySchemaElement is not a HASH key type')
  if (second && second.KeyType !== 'RANGE')
    throw validation('Invalid KeySchema: The second KeySchemaElement is not a RANGE key type')
  if (second && second.AttributeName === first.AttributeName)
    throw validation('Both the Hash Key and the Range Key element in the KeySchema have the same name')
  const names = entries.map((entry) => entry.AttributeName as string)
  const missing = names.filter((name) => !types.has(name))
  if (missing.length > 0) {
    throw validation(
      `One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [${missing.join(', ')}], AttributeDefinitions: [${[...types.keys()].join(', ')}]`,
    )
  }
  if (types.size > names.length) {
    throw validation(
      'One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions',
    )
  }
  const attribute = (name: string): KeyAttribute => {
    if (Buffer.byteLength(name) < 1 || Buffer.byteLength(name) > keyNameBytesMax)
      throw validation(
        `One or more parameter values were invalid: Key attribute names have 1 to ${keyNameBytesMax} bytes`,
      )
    return { name, type: types.get(name) as KeyType }
  }
  return { hash: attribute(names[0] as string), ...(second ? { range: attribute(names[1] as string) } : {}) }
}
