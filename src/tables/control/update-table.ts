import type { Backfills } from '../catalogue/backfill.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow, ViewType } from '../catalogue/table-row.js'
import { type IndexChange, type IndexUpdates, updateIndexes } from '../indexes/index.js'
import { validation } from '../requests/aws-error.js'
import { type Constraints, flag, type Input, oneOf } from '../requests/request.js'
import { describeTable } from './description.js'
import {
  describeEncryption,
  encryptionOf,
  readEncryption,
  refuseSameEncryption,
  type WantedEncryption,
} from './encryption.js'
import type { ControlSettings } from './settings.js'
import { readStream } from './stream-specification.js'
import type { Home } from './table-arns.js'
import { readTableClass } from './table-class.js'
import type { TableDetails, Units } from './table-details.js'
import { refuseBusy } from './table-status.js'
import {
  describeChange,
  mergeOnDemand,
  readOnDemand,
  readThroughput,
  refuseOnDemand,
  refuseOutOfBounds,
  refuseSameThroughput,
  rememberChange,
  type Throughput,
  throughputOnDemand,
} from './throughput.js'
import { describeWarm, partitionsFor, readWarm, refuseColder, warmOf } from './warm-throughput.js'

/** What an UpdateTable asks for beside its indexes. */
export interface WantedUpdate {
  readonly billing: TableRow['billing'] | undefined
  readonly throughput: Throughput | undefined
  readonly onDemand: Units | undefined
  readonly warm: Units | undefined
  readonly tableClass: string | undefined
  readonly stream: ViewType | 'off' | undefined
  readonly encryption: WantedEncryption | undefined
  readonly protection: boolean | undefined
}

/** Reads an UpdateTable, member for member. Throws ValidationException. */
export function readUpdate(input: Input, constraints: Constraints): WantedUpdate {
  const billing = oneOf(input, 'BillingMode', 'billingMode', ['PROVISIONED', 'PAY_PER_REQUEST'], constraints)
  const throughput = readThroughput(input, constraints)
  const stream = readStream(input, constraints, 'update')
  const encryption = readEncryption(input, constraints)
  constraints.done()
  return {
    billing,
    throughput,
    onDemand: readOnDemand(input),
    warm: readWarm(input),
    tableClass: readTableClass(input),
    stream,
    encryption,
    protection: flag(input, 'DeletionProtectionEnabled'),
  }
}

const invalid = (what: string): Error => validation(`One or more parameter values were invalid: ${what}`)

/** Which changes may come together, as AWS has it. */
export function refuseMixture(wanted: WantedUpdate, updates: IndexUpdates): void {
  const hasIndexes = updates.given === 'entries'
  const { billing, throughput, onDemand, warm, tableClass, stream, encryption, protection } = wanted
  const given = [billing ?? throughput, onDemand, warm, tableClass, stream, encryption, protection]
  const count = given.filter((each) => each !== undefined).length + (hasIndexes ? 1 : 0)
  if (count === 0) {
    throw validation(
      'At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required',
    )
  }
  if (count === 1) return
  if (encryption) throw invalid('Server-Side Encryption modification must be the only operation in the request')
  if (tableClass) throw invalid('TableClass modification must be the only operation in the request')
  if (protection !== undefined)
    throw invalid('DeletionProtection modification must be the only operation in the request')
  if (warm) throw invalid('WarmThroughput must be the only operation in the request')
  if (onDemand && (stream || throughput || hasIndexes))
    throw invalid('OnDemandThroughput can only be combined with BillingMode in an UpdateTable request')
  if (stream && (billing || throughput)) throw invalid('You cannot modify stream status while updating table IOPS')
}

/** Replicas are changed by a request of their own. */
export function refuseMoreThanReplicas(wanted: WantedUpdate, updates: IndexUpdates): void {
  if (updates.given === 'entries' || Object.values(wanted).some((each) => each !== undefined))
    throw invalid('ReplicaUpdates must be the only operation in the request')
}

/** What may not come together with an index that is made or taken off. */
export function refuseLayoutMixture({ throughput, stream }: WantedUpdate, { actions }: IndexUpdates): void {
  if (actions.every(({ kind }) => kind === 'update')) return
  if (throughput) throw invalid('You cannot create or delete index while updating table IOPS')
  if (stream) throw invalid('You cannot create or delete index while changing stream status')
}

export interface TableUpdatesOptions {
  readonly catalogue: Catalogue
  readonly backfills: Backfills
  readonly settings: ControlSettings
  readonly home: Home
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** What can be said about a change of the throughput before the table is looked for. */
export function refuseThroughput({ billing, throughput }: WantedUpdate): void {
  if (billing === 'PROVISIONED' && !throughput)
    throw invalid('ProvisionedThroughput must be specified when BillingMode is PROVISIONED')
  refuseOutOfBounds(throughput)
  if (billing === 'PAY_PER_REQUEST' && throughput) throw throughputOnDemand()
}

/** Carries out what an UpdateTable asks for. */
export class TableUpdates {
  readonly #catalogue: Catalogue
  readonly #backfills: Backfills
  readonly #settings: ControlSettings
  readonly #home: Home
  readonly #now: () => number

  constructor({ catalogue, backfills, settings, home, now }: TableUpdatesOptions) {
    this.#catalogue = catalogue
    this.#backfills = backfills
    this.#settings = settings
    this.#home = home
    this.#now = now
  }

  /** Gives the description that AWS answers with: the table on its way, mostly with its old values. */
  async run(name: string, wanted: WantedUpdate, updates: IndexUpdates): Promise<object> {
    const hasIndexes = updates.given === 'entries'
    if (wanted.warm) return this.#warm(name, wanted.warm)
    if (wanted.stream) {
      await this.#stream(name, wanted.stream)
      if (!hasIndexes) return this.#streamed(name)
    }
    let before: TableRow | undefined
    let changes: readonly IndexChange[] = []
    let now = 0
    const after = await this.#catalogue.change(name, (row) => {
      before = row
      now = this.#now()
      refuseBusy(row, now)
      const indexed = updateIndexes(row, updates, { billing: wanted.billing ?? row.billing })
      changes = indexed.changes
      return this.#busy(this.#changed(indexed.row, wanted, now))
    })
    const old = before as TableRow
    const onlyIndexes = hasIndexes && changes.every(({ status }) => status === 'UPDATING') && !wanted.billing
    // Described before the backfill begins, which may be done at once.
    const description = {
      ...describeTable(this.#catalogue, after, now, changes),
      TableStatus: onlyIndexes && !wanted.throughput ? 'ACTIVE' : 'UPDATING',
      // Until a change of the throughput is done, the old one is shown.
      ...(wanted.throughput && old.billing === 'PROVISIONED'
        ? { ProvisionedThroughput: describeChange(old, wanted.throughput, now) }
        : {}),
      ...(wanted.encryption
        ? describeEncryption(after.details?.encryption ?? old.details?.encryption, 'UPDATING')
        : {}),
    }
    const table = this.#catalogue.get(name)
    if (table) this.#backfills.wake(table)
    return description
  }

  async #stream(name: string, wanted: ViewType | 'off'): Promise<void> {
    const refuse = (row: TableRow) => refuseBusy(row, this.#now())
    if (wanted === 'off') await this.#catalogue.disableStream(name, refuse)
    else await this.#catalogue.widen(await this.#catalogue.enableStream(name, wanted, refuse))
  }

  async #streamed(name: string): Promise<object> {
    const row = await this.#catalogue.change(name, (present) => this.#busy(present))
    return { ...describeTable(this.#catalogue, row, this.#now()), TableStatus: 'UPDATING' }
  }

  /** Splits first: when that is cut off, the same request does the rest. */
  async #warm(name: string, wanted: Units): Promise<object> {
    let before: Throughput | undefined
    const row = await this.#catalogue.change(name, async (present) => {
      const ready = warmOf(present)
      before = ready
      refuseColder(wanted, ready)
      const warm = { read: wanted.read ?? ready.read, write: wanted.write ?? ready.write }
      const changed = withDetails(present, { warm, shards: partitionsFor(warm) })
      await this.#catalogue.widen(changed)
      return changed
    })
    // The table is ACTIVE all the time; only this member says that it is being changed.
    return {
      ...describeTable(this.#catalogue, row, this.#now()),
      ...describeWarm(before as Throughput, 'UPDATING'),
    }
  }

  #changed(row: TableRow, wanted: WantedUpdate, now: number): TableRow {
    const { tableClass, protection, encryption } = wanted
    if (encryption) {
      const key = encryptionOf(encryption, this.#home)
      refuseSameEncryption(row.details?.encryption, key)
      const { encryption: _, ...details } = row.details ?? {}
      return { ...row, details: key ? { ...details, encryption: key } : details }
    }
    if (tableClass) return { ...row, tableClass }
    if (protection !== undefined) return { ...row, deletionProtection: protection }
    return billed(row, wanted, now)
  }

  /** UPDATING for as long as it is configured; a table that did not change is neither. */
  #busy(row: TableRow): TableRow {
    const { updateMs } = this.#settings
    if (updateMs === 0) return row
    return withDetails(row, { busy: { with: 'UPDATING', until: this.#now() + updateMs } })
  }
}

const withDetails = (row: TableRow, more: TableDetails): TableRow => ({ ...row, details: { ...row.details, ...more } })

/** A table's row with another billing or throughput. */
function billed(row: TableRow, { billing: wantedBilling, throughput, onDemand }: WantedUpdate, now: number): TableRow {
  const billing = wantedBilling ?? row.billing
  if (throughput && billing === 'PAY_PER_REQUEST') throw throughputOnDemand()
  refuseOnDemand(onDemand, billing, true)
  const warm = warmOf(row)
  if (billing === 'PAY_PER_REQUEST') {
    const maxima = onDemand ? mergeOnDemand(row.details?.onDemand, onDemand) : row.details?.onDemand
    const switched = row.billing === billing ? {} : { onDemandAt: now, warm }
    const { onDemand: _, ...details } = row.details ?? {}
    const changed = { ...row, details, billing, throughput: { read: 0, write: 0 } }
    return withDetails(changed, { ...switched, ...(maxima ? { onDemand: maxima } : {}) })
  }
  if (!throughput) return row
  if (row.billing === 'PROVISIONED') {
    refuseSameThroughput(row.throughput, throughput)
    return withDetails(
      { ...row, throughput },
      { warm, ...rememberChange(row.details, row.throughput, throughput, now) },
    )
  }
  const { onDemand: _, ...details } = row.details ?? {}
  const onDemandAt = details.onDemandAt ?? row.createdAt
  return withDetails({ ...row, details, billing, throughput }, { warm, onDemandAt })
}
