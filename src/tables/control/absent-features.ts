import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { AwsError, notFound, validation } from '../requests/aws-error.js'
import { Constraints, describedTableName, flag, type Input, object, oneOf, text, whole } from '../requests/request.js'
import { requestedTable } from './requested-table.js'
import { type Home, taggedTable } from './table-arns.js'

/** The longest time that AWS keeps for a recovery to a point in time. */
const recoveryDaysMax = 35

const modelled = (name: string, message: string): AwsError =>
  new AwsError(`com.amazonaws.dynamodb.v20120810#${name}`, message)

/**
 * What clients may ask about things that are not here: backups, global tables of the older version, exports, Kinesis streams, policies. Where
 * AWS has an answer for "there are none", it is given; what would make one is refused.
 */
export class AbsentFeatures {
  readonly #catalogue: Catalogue
  readonly #home: Home
  readonly operations: Readonly<Record<string, (input: Input) => Promise<object>>>

  constructor(catalogue: Catalogue, home: Home) {
    this.#catalogue = catalogue
    this.#home = home
    this.operations = {
      DescribeLimits: async () => accountLimits,
      DescribeContinuousBackups: async (input) => this.#describeContinuousBackups(input),
      UpdateContinuousBackups: async (input) => this.#updateContinuousBackups(input),
      DescribeKinesisStreamingDestination: async (input) => this.#describeKinesis(input),
      EnableKinesisStreamingDestination: async (input) => this.#enableKinesis(input),
      DisableKinesisStreamingDestination: async (input) => this.#disableKinesis(input),
      UpdateKinesisStreamingDestination: async (input) => this.#updateKinesis(input),
      DescribeContributorInsights: async (input) => this.#describeInsights(input),
      ListContributorInsights: async (input) => this.#listOfTable(input, 'ContributorInsightsSummaries'),
      DescribeTableReplicaAutoScaling: async (input) => {
        throw modelled(
          'ResourceNotFoundException',
          `Global table with name: '${requestedTable(this.#catalogue, input).name}' does not exist.`,
        )
      },
      GetResourcePolicy: async (input) => this.#getResourcePolicy(input),
      DeleteResourcePolicy: async (input) => {
        this.#ofResource(input)
        return {}
      },
      ListBackups: async (input) => this.#list(input, 'BackupSummaries', 100),
      ListExports: async (input) => this.#list(input, 'ExportSummaries', 25, 'MaxResults'),
      ListImports: async (input) => this.#list(input, 'ImportSummaryList', 25, 'PageSize'),
      CreateGlobalTable: async () => refuseOldGlobalTables(),
      UpdateGlobalTable: async () => refuseOldGlobalTables(),
      UpdateGlobalTableSettings: async () => refuseOldGlobalTables(),
      ListGlobalTables: async (input) => this.#list(input, 'GlobalTables', 100),
      DescribeGlobalTable: async (input) => {
        throw modelled('GlobalTableNotFoundException', `Global table not found: ${globalTableName(input)}`)
      },
      DescribeGlobalTableSettings: async (input) => {
        throw modelled('GlobalTableNotFoundException', `Global table not found: ${globalTableName(input)}`)
      },
      DescribeBackup: async (input) => {
        throw modelled('BackupNotFoundException', `Backup not found: ${arnOf(input, 'BackupArn', 'backupArn')}`)
      },
      DeleteBackup: async (input) => {
        throw modelled('BackupNotFoundException', `Backup not found: ${arnOf(input, 'BackupArn', 'backupArn')}`)
      },
      DescribeExport: async (input) => {
        throw modelled('ExportNotFoundException', `Export not found: ${arnOf(input, 'ExportArn', 'exportArn')}`)
      },
      DescribeImport: async (input) => {
        throw modelled('ImportNotFoundException', `Import not found: ${arnOf(input, 'ImportArn', 'importArn')}`)
      },
    }
  }

  #describeContinuousBackups(input: Input): object {
    this.#backedUpTable(input)
    return continuousBackups
  }

  /** Switching off what is not on is no error on AWS. */
  #updateContinuousBackups(input: Input): object {
    const given = object(input, 'PointInTimeRecoverySpecification')
    const constraints = new Constraints()
    const member = 'pointInTimeRecoverySpecification'
    constraints.check(given !== undefined, member, undefined, 'Member must not be null')
    const isOn = given && flag(given, 'PointInTimeRecoveryEnabled')
    const days = given && whole(given, 'RecoveryPeriodInDays')
    const place = `${member}.recoveryPeriodInDays`
    constraints.check(
      given === undefined || isOn !== undefined,
      `${member}.pointInTimeRecoveryEnabled`,
      undefined,
      'Member must not be null',
    )
    constraints.check((days ?? 1) >= 1, place, days, 'Member must have value greater than or equal to 1')
    constraints.check(
      (days ?? 1) <= recoveryDaysMax,
      place,
      days,
      `Member must have value less than or equal to ${recoveryDaysMax}`,
    )
    constraints.done()
    if (!isOn && days !== undefined)
      throw validation('Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.')
    this.#backedUpTable(input)
    if (isOn)
      throw modelled(
        'ContinuousBackupsUnavailableException',
        'Point-in-time recovery is not supported by this version of Millrace; `millrace backup` copies a data directory',
      )
    return continuousBackups
  }

  /** Backups have an error of their own for a table that is not there. */
  #backedUpTable(input: Input): void {
    const name = describedTableName(input)
    if (!this.#catalogue.get(name)) throw modelled('TableNotFoundException', `Table not found: ${name}`)
  }

  #describeKinesis(input: Input): object {
    return { TableName: requestedTable(this.#catalogue, input).name, KinesisDataStreamDestinations: [] }
  }

  #kinesisTable(input: Input): { row: TableRow; arn: string } {
    const arn = arnOf(input, 'StreamArn', 'streamArn')
    return { row: requestedTable(this.#catalogue, input), arn }
  }

  #enableKinesis(input: Input): never {
    this.#kinesisTable(input)
    throw validation(
      'Kinesis streaming destinations are not supported by this version of Millrace; a bridge or a pipeline can follow the table',
    )
  }

  #disableKinesis(input: Input): never {
    this.#kinesisTable(input)
    throw validation(
      'Table is not in a valid state to enable Kinesis Streaming Destination: KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.',
    )
  }

  #updateKinesis(input: Input): never {
    const given = object(input, 'UpdateKinesisStreamingConfiguration') ?? {}
    const constraints = new Constraints()
    const precision = oneOf(
      given,
      'ApproximateCreationDateTimePrecision',
      'updateKinesisStreamingConfiguration.approximateCreationDateTimePrecision',
      ['MILLISECOND', 'MICROSECOND'],
      constraints,
    )
    constraints.done()
    const { row, arn } = this.#kinesisTable(input)
    if (precision === undefined)
      throw validation(
        'Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot be null or contain only null values',
      )
    throw validation(
      `Table is not in a valid state to enable Kinesis Streaming Destination: No streaming destination with streamArn: ${arn} found for table with tableName: ${row.name}`,
    )
  }

  #describeInsights(input: Input): object {
    const { name } = requestedTable(this.#catalogue, input)
    const index = text(input, 'IndexName')
    return {
      TableName: name,
      ...(index === undefined ? {} : { IndexName: index }),
      ContributorInsightsStatus: 'DISABLED',
    }
  }

  #getResourcePolicy(input: Input): never {
    throw modelled(
      'PolicyNotFoundException',
      `Resource-based policy not found for the provided ResourceArn: ${this.#ofResource(input)}`,
    )
  }

  /** The ARN of a table that is there. */
  #ofResource(input: Input): string {
    const arn = text(input, 'ResourceArn')
    const name = taggedTable(arn, this.#home)
    if (!this.#catalogue.get(name)) throw notFound(`Requested resource not found: Table: ${name} not found`)
    return arn as string
  }

  #listOfTable(input: Input, member: string): object {
    if ((input.TableName ?? undefined) !== undefined) requestedTable(this.#catalogue, input)
    return { [member]: [] }
  }

  #list(input: Input, member: string, max: number, limit = 'Limit'): object {
    const constraints = new Constraints()
    const value = whole(input, limit)
    const place = `${limit[0]?.toLowerCase()}${limit.slice(1)}`
    constraints.check((value ?? 1) >= 1, place, value, 'Member must have value greater than or equal to 1')
    constraints.check((value ?? 1) <= max, place, value, `Member must have value less than or equal to ${max}`)
    constraints.done()
    return { [member]: [] }
  }
}

/** Replicas are made in the way of version 2019.11.21 alone. */
function refuseOldGlobalTables(): never {
  throw validation(
    'Global tables of version 2017.11.29 are not supported by this version of Millrace; add replicas with ReplicaUpdates of UpdateTable (version 2019.11.21)',
  )
}

/** What AWS allows an account by default. */
const accountLimits = {
  AccountMaxReadCapacityUnits: 80_000,
  AccountMaxWriteCapacityUnits: 80_000,
  TableMaxReadCapacityUnits: 40_000,
  TableMaxWriteCapacityUnits: 40_000,
}

const continuousBackups = {
  ContinuousBackupsDescription: {
    ContinuousBackupsStatus: 'ENABLED',
    PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: 'DISABLED' },
  },
}

const arnLengthMin = 37

function arnOf(input: Input, name: string, member: string): string {
  const arn = text(input, name)
  const constraints = new Constraints()
  constraints.check(arn !== undefined, member, undefined, 'Member must not be null')
  constraints.check(
    arn === undefined || arn.length >= arnLengthMin,
    member,
    arn,
    `Member must have length greater than or equal to ${arnLengthMin}`,
  )
  constraints.done()
  return arn as string
}

function globalTableName(input: Input): string {
  return describedTableName({ TableName: input.GlobalTableName })
}
