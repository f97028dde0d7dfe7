import type { Backfills } from '../catalogue/backfill.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { indexesOfTable, readIndexes, readIndexUpdates } from '../indexes/index.js'
import { type ReplicaUpdates, readReplicaUpdates, updateReplicas } from '../replication/replica-updates.js'
import type { ReplicatedTables } from '../replication/replicated-tables.js'
import { validation } from '../requests/aws-error.js'
import {
  atMost,
  Constraints,
  checkTableName,
  describedTableName,
  flag,
  type Input,
  oneOf,
  tableName,
  text,
} from '../requests/request.js'
import { describeDeletedTable, describeTable } from './description.js'
import { encryptionOf, readEncryption } from './encryption.js'
import { keySchemaOf, readKeySchema } from './key-schema.js'
import { requestedTable } from './requested-table.js'
import type { ControlSettings } from './settings.js'
import { readStream } from './stream-specification.js'
import type { Home } from './table-arns.js'
import { readTableClass } from './table-class.js'
import type { TableDetails } from './table-details.js'
import { refuseBusy, refuseDeletion, refuseToDelete } from './table-status.js'
import { readTags } from './tags.js'
import { readOnDemand, readThroughput, refuseOnDemand, refuseOutOfBounds, throughputOnDemand } from './throughput.js'
import {
  readUpdate,
  refuseLayoutMixture,
  refuseMixture,
  refuseMoreThanReplicas,
  refuseThroughput,
  TableUpdates,
} from './update-table.js'
import { partitionsFor, readWarm, refuseColdTable, warmOf } from './warm-throughput.js'

export interface TableOperationsOptions {
  readonly catalogue: Catalogue
  readonly backfills: Backfills
  readonly settings: ControlSettings
  readonly home: Home
  readonly replicas: ReplicatedTables
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Called with the number of a table that was deleted. */
  readonly onDeleted: (table: number) => void
}

/** CreateTable, DescribeTable, UpdateTable, DeleteTable, ListTables. */
export class TableOperations {
  readonly #catalogue: Catalogue
  readonly #settings: ControlSettings
  readonly #home: Home
  readonly #now: () => number
  readonly #onDeleted: (table: number) => void
  readonly #updates: TableUpdates
  readonly #replicas: ReplicatedTables

  constructor({ catalogue, backfills, settings, home, replicas, now, onDeleted }: TableOperationsOptions) {
    this.#replicas = replicas
    this.#onDeleted = onDeleted
    this.#catalogue = catalogue
    this.#settings = settings
    this.#home = home
    this.#now = now
    this.#updates = new TableUpdates({ catalogue, backfills, settings, home, now })
  }

  async create(input: Input): Promise<object> {
    describedTableName(input, { created: true })
    const constraints = new Constraints()
    const { elements, definitions } = readKeySchema(input, constraints)
    const wantedIndexes = readIndexes(input, constraints)
    const name = tableName(input, constraints, { created: true })
    const billing =
      oneOf(input, 'BillingMode', 'billingMode', ['PROVISIONED', 'PAY_PER_REQUEST'], constraints) ?? 'PROVISIONED'
    const throughput = readThroughput(input, constraints)
    const view = readStream(input, constraints, 'create')
    const encryption = readEncryption(input, constraints)
    constraints.done()
    const tableClass = readTableClass(input)
    refuseUnsupported(input)
    if (billing === 'PROVISIONED' && !throughput) {
      throw validation(
        'One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED',
      )
    }
    if (billing === 'PAY_PER_REQUEST' && throughput) throw throughputOnDemand()
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
    const details = {
      ...this.#detailsOf(input, wanted),
      ...(encryption?.isOn ? { encryption: encryptionOf(encryption, this.#home) } : {}),
    } as TableDetails
    const row = await this.#catalogue.create({ ...wanted, details }, view === 'off' ? undefined : view)
    // The answer is that of a table which is being made, also when that took no time.
    const made = { ...row, details: { ...row.details, busy: { with: 'CREATING', until: Number.MAX_VALUE } as const } }
    return { TableDescription: this.describe(made) }
  }

  /** What CreateTable says beside what every row has. */
  #detailsOf(input: Input, wanted: Pick<TableRow, 'billing' | 'throughput'>): TableDetails {
    const tags = readTags(input)
    const onDemand = readOnDemand(input)
    refuseOnDemand(onDemand, wanted.billing, false)
    const warm = readWarm(input)
    refuseColdTable(warm, wanted.billing, wanted.throughput)
    const ready = warm && warmOf({ ...wanted, details: { warm } })
    const { createMs } = this.#settings
    return {
      ...(tags.length > 0 ? { tags } : {}),
      ...(onDemand ? { onDemand } : {}),
      ...(ready ? { warm: ready, shards: partitionsFor(ready) } : {}),
      ...(createMs > 0 ? { busy: { with: 'CREATING', until: this.#now() + createMs } } : {}),
    }
  }

  async describeTable(input: Input): Promise<object> {
    return { Table: this.describe(this.#row(input)) }
  }

  async delete(input: Input): Promise<object> {
    const row = this.#row(input)
    refuseDeletion(row, this.#now())
    if (row.replication?.isActive) {
      // As on AWS the replica of this region goes, and the others stay.
      const out = new Map([[this.#replicas.region, 'out' as const]])
      const left = await this.#replicas.change(row.name, out, (before) => refuseToDelete(before, this.#now()))
      return { TableDescription: describeDeletedTable(this.#catalogue, left, this.#now()) }
    }
    const gone = await this.#catalogue.delete(row.name)
    this.#onDeleted(gone.id)
    return { TableDescription: describeDeletedTable(this.#catalogue, gone, this.#now()) }
  }

  async list(input: Input): Promise<object> {
    const constraints = new Constraints()
    const start = text(input, 'ExclusiveStartTableName')
    if (start !== undefined) checkTableName(start, 'exclusiveStartTableName', constraints)
    const limit = atMost(input, 'Limit', 'limit', 100, constraints) ?? 100
    constraints.done()
    const names = this.#catalogue
      .names()
      .filter((name) => start === undefined || Buffer.compare(Buffer.from(name), Buffer.from(start)) > 0)
    const page = names.slice(0, limit)
    return { TableNames: page, ...(names.length > limit ? { LastEvaluatedTableName: page[page.length - 1] } : {}) }
  }

  async update(input: Input): Promise<object> {
    const name = describedTableName(input)
    const constraints = new Constraints()
    tableName({ TableName: name }, constraints)
    const { updates, done } = readIndexUpdates(input, constraints)
    const replicas = readReplicaUpdates(input, constraints)
    const wanted = readUpdate(input, constraints)
    refuseUnsupported(input)
    if (replicas) {
      refuseMoreThanReplicas(wanted, updates)
      return { TableDescription: await this.#update(name, replicas) }
    }
    refuseMixture(wanted, updates)
    if (updates.given === 'empty')
      throw validation('One or more parameter values were invalid: List of GlobalSecondaryIndexUpdates is empty')
    done()
    refuseLayoutMixture(wanted, updates)
    refuseThroughput(wanted)
    refuseBusy(this.#row(input), this.#now())
    return { TableDescription: await this.#updates.run(name, wanted, updates) }
  }

  async #update(name: string, updates: ReplicaUpdates): Promise<object> {
    const row = await updateReplicas(name, updates, {
      catalogue: this.#catalogue,
      replicas: this.#replicas,
      now: this.#now,
    })
    return { ...this.describe(row), TableStatus: 'UPDATING' }
  }

  describe(row: TableRow): object {
    return describeTable(this.#catalogue, row, this.#now())
  }

  #row(input: Input): TableRow {
    return requestedTable(this.#catalogue, input)
  }
}

/** What is asked for and not there yet is refused: a table without its index would answer wrongly. */
function refuseUnsupported(input: Input): void {
  for (const name of ['GlobalTableWitnessUpdates', 'ResourcePolicy']) {
    const value = input[name]
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue
    throw validation(`${name} is not supported by this version of Millrace; LIMITATIONS.md lists what is not there yet`)
  }
}
