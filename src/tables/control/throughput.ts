import type { TableRow } from '../catalogue/table-row.js'
import { validation } from '../requests/aws-error.js'
import { type Constraints, type Input, object, whole } from '../requests/request.js'
import type { TableDetails, Units } from './table-details.js'

const capacityUnitsMax = 1_000_000_000_000

export interface Throughput {
  readonly read: number
  readonly write: number
}

const invalid = (what: string): Error => validation(`One or more parameter values were invalid: ${what}`)

/** Reads ProvisionedThroughput. Adds to the constraints. */
export function readThroughput(input: Input, constraints: Constraints): Throughput | undefined {
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

export const throughputOnDemand = (): Error =>
  invalid('Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST')

export function refuseOutOfBounds(throughput: Throughput | undefined): void {
  if (!throughput) return
  const { read, write } = throughput
  if (read > capacityUnitsMax) throw validation(`Given value ${read} for ReadCapacityUnits is out of bounds`)
  if (write > capacityUnitsMax) throw validation(`Given value ${write} for WriteCapacityUnits is out of bounds`)
}

export function refuseSameThroughput(before: Throughput, wanted: Throughput): void {
  if (before.read !== wanted.read || before.write !== wanted.write) return
  throw validation(
    'The provisioned throughput for the table will not change. The requested value equals the current value. ' +
      `Current ReadCapacityUnits provisioned for the table: ${before.read}. Requested ReadCapacityUnits: ${wanted.read}. ` +
      `Current WriteCapacityUnits provisioned for the table: ${before.write}. Requested WriteCapacityUnits: ${wanted.write}. ` +
      'Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.',
  )
}

/** Reads OnDemandThroughput; undefined when nothing is given in it. */
export function readOnDemand(input: Input): Units | undefined {
  const given = object(input, 'OnDemandThroughput')
  const read = given && whole(given, 'MaxReadRequestUnits')
  const write = given && whole(given, 'MaxWriteRequestUnits')
  if (read === undefined && write === undefined) return undefined
  return { ...(read === undefined ? {} : { read }), ...(write === undefined ? {} : { write }) }
}

/** `mayClear`: whether -1 takes a maximum away. */
export function refuseOnDemand(wanted: Units | undefined, billing: TableRow['billing'], mayClear: boolean): void {
  if (!wanted) return
  const names = { read: 'MaxReadRequestUnits', write: 'MaxWriteRequestUnits' } as const
  for (const kind of ['read', 'write'] as const) {
    const units = wanted[kind]
    if (units === undefined) continue
    if (billing === 'PROVISIONED')
      throw invalid(
        `${names[kind]} for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED`,
      )
    if (units < 1 && !(mayClear && units === -1))
      throw invalid(`Requested ${names[kind]} for OnDemandThroughput for table is outside of valid range`)
  }
}

/** The maxima after an update: -1 takes one away. */
export function mergeOnDemand(before: Units | undefined, wanted: Units): Units | undefined {
  const read = wanted.read ?? before?.read
  const write = wanted.write ?? before?.write
  const merged = {
    ...(read === undefined || read === -1 ? {} : { read }),
    ...(write === undefined || write === -1 ? {} : { write }),
  }
  return Object.keys(merged).length > 0 ? merged : undefined
}

export function describeOnDemand(units: Units | undefined): object {
  if (!units) return {}
  return {
    OnDemandThroughput: { MaxReadRequestUnits: units.read ?? -1, MaxWriteRequestUnits: units.write ?? -1 },
  }
}

/**
 * What a change of the provisioned throughput leaves behind. Days are those of UTC, as on AWS. `now` is when it was begun:
 * it is done a millisecond later, since programs look for the one time after the other.
 */
export function rememberChange(
  details: TableDetails | undefined,
  before: Throughput,
  wanted: Throughput,
  now: number,
): TableDetails {
  const doneAt = now + 1
  const isIncrease = wanted.read > before.read || wanted.write > before.write
  const isDecrease = wanted.read < before.read || wanted.write < before.write
  return {
    ...(isIncrease ? { increasedAt: doneAt } : {}),
    ...(isDecrease ? { decreasedAt: doneAt, decreases: decreasesToday(details, now) + 1 } : {}),
  }
}

/** ProvisionedThroughput while a change is on its way: the old values and counts, and when it was begun. */
export function describeChange(before: TableRow, wanted: Throughput, now: number): object {
  const { increasedAt, decreasedAt } = rememberChange(before.details, before.throughput, wanted, now)
  return {
    ...describeThroughput(before, now),
    ...(increasedAt === undefined ? {} : { LastIncreaseDateTime: now / 1000 }),
    ...(decreasedAt === undefined ? {} : { LastDecreaseDateTime: now / 1000 }),
  }
}

const dayMs = 24 * 60 * 60 * 1000

function decreasesToday({ decreasedAt, decreases = 0 }: TableDetails = {}, now: number): number {
  if (decreasedAt === undefined || Math.floor(decreasedAt / dayMs) !== Math.floor(now / dayMs)) return 0
  return decreases
}

export function describeThroughput({ throughput, details }: TableRow, now: number): object {
  return {
    ...(details?.increasedAt === undefined ? {} : { LastIncreaseDateTime: details.increasedAt / 1000 }),
    ...(details?.decreasedAt === undefined ? {} : { LastDecreaseDateTime: details.decreasedAt / 1000 }),
    NumberOfDecreasesToday: decreasesToday(details, now),
    ReadCapacityUnits: throughput.read,
    WriteCapacityUnits: throughput.write,
  }
}
