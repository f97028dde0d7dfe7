import { validation } from '../requests/aws-error.js'
import type { Index, Units } from './definition.js'
import type { WantedIndex } from './index-request.js'

export type Billing = 'PROVISIONED' | 'PAY_PER_REQUEST'

const capacityUnitsMax = 1_000_000_000_000
/** What an index on demand is always ready for. */
const onDemandWarm: Units = { read: 12_000, write: 4_000 }
/** In UpdateTable: no limit any more. */
const noLimit = -1

const invalid = (text: string): Error => validation(`One or more parameter values were invalid: ${text}`)

type Throughputs = Pick<Index, 'throughput' | 'warm' | 'onDemand'>

/** The throughputs of a new index, by how its table is paid. Throws ValidationException. */
export function checkThroughputs(index: WantedIndex, billing: Billing, isAdded = false): Throughputs {
  const { name, throughput, warm, onDemand } = index
  if (billing === 'PAY_PER_REQUEST' && throughput) {
    throw isAdded
      ? invalid(
          `Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: ${name} when BillingMode is PAY_PER_REQUEST`,
        )
      : invalid(`ProvisionedThroughput should not be specified for index: ${name} when BillingMode is PAY_PER_REQUEST`)
  }
  if (billing === 'PROVISIONED' && !throughput) {
    throw isAdded
      ? invalid(`Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: ${name}`)
      : invalid(`ProvisionedThroughput is not specified for index: ${name}`)
  }
  if (throughput) refuseOutOfBounds(name, throughput)
  const floor = billing === 'PAY_PER_REQUEST' ? onDemandWarm : (throughput as Units)
  if (warm) refuseCold(name, warm, floor, billing)
  if (onDemand) checkOnDemand(name, onDemand, billing, false)
  return {
    throughput: throughput ?? { read: 0, write: 0 },
    ...(warm ? { warm } : {}),
    ...(onDemand ? { onDemand } : {}),
  }
}

function refuseOutOfBounds(name: string, { read, write }: Units): void {
  if (read > capacityUnitsMax)
    throw validation(`Given value ${read} for ReadCapacityUnits is out of bounds for index ${name}`)
  if (write > capacityUnitsMax)
    throw validation(`Given value ${write} for WriteCapacityUnits is out of bounds for index ${name}`)
}

function refuseCold(name: string, warm: Partial<Units>, floor: Units, billing: Billing): void {
  const check = (unit: string, value: number | undefined, least: number, capacity: string) => {
    if (value === undefined || value >= least) return
    throw invalid(
      `Requested ${unit} for WarmThroughput for index ${name} is lower than ` +
        (billing === 'PAY_PER_REQUEST' ? 'initial throughput for OnDemand' : `${capacity} of ProvisionedThroughput`),
    )
  }
  check('ReadUnitsPerSecond', warm.read, floor.read, 'ReadCapacityUnits')
  check('WriteUnitsPerSecond', warm.write, floor.write, 'WriteCapacityUnits')
}

function checkOnDemand(name: string, onDemand: Partial<Units>, billing: Billing, mayClear: boolean): void {
  const check = (unit: string, value: number | undefined) => {
    if (value === undefined) return
    if (billing === 'PROVISIONED')
      throw invalid(
        `${unit} for OnDemandThroughput for index: ${name} cannot be specified when table BillingMode is PROVISIONED`,
      )
    if (value < 1 && !(mayClear && value === noLimit))
      throw invalid(`Requested ${unit} for OnDemandThroughput for index : ${name} is outside of valid range`)
  }
  check('MaxReadRequestUnits', onDemand.read)
  check('MaxWriteRequestUnits', onDemand.write)
}

/** What an UpdateTable asks of the throughputs of one index. */
export type WantedUpdate = Pick<WantedIndex, 'name' | 'throughput' | 'warm' | 'onDemand'>

/** Not even a limit: AWS blocks these before it looks for the index. */
export function refuseBlocked({ throughput }: WantedUpdate): void {
  if (!throughput || (throughput.read <= capacityUnitsMax && throughput.write <= capacityUnitsMax)) return
  throw validation(
    'This operation cannot be performed with given input values. Please contact DynamoDB service team for more info: ' +
      'Action Blocked: IndexUpdate',
  )
}

/** The index with other throughputs. `billing` is that after the update. Throws ValidationException. */
export function withThroughputs(index: Index, wanted: WantedUpdate, billing: Billing, switches: boolean): Index {
  const { name, throughput, warm, onDemand } = wanted
  if (billing === 'PAY_PER_REQUEST' && throughput) {
    throw invalid(
      `The only Updates for index: ${name} when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput`,
    )
  }
  if (!throughput && !warm && !onDemand)
    throw invalid(`Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: ${name}`)
  if (throughput && !switches && index.throughput) refuseSame(name, index.throughput, throughput)
  if (warm) refuseCooling(name, warm, warmOf(index, billing))
  if (onDemand) checkOnDemand(name, onDemand, billing, true)
  const limits = { ...index.onDemand, ...onDemand }
  const { onDemand: _, ...rest } = index
  const kept = Object.fromEntries(Object.entries(limits).filter(([, units]) => units !== noLimit))
  return {
    ...rest,
    ...(throughput ? { throughput } : {}),
    ...(warm ? { warm: { ...index.warm, ...warm } } : {}),
    ...(Object.keys(kept).length > 0 ? { onDemand: kept } : {}),
  }
}

function refuseSame(name: string, before: Units, wanted: Units): void {
  if (before.read !== wanted.read || before.write !== wanted.write) return
  throw validation(
    `The provisioned throughput for the index ${name} will not change. The requested value equals the current value. ` +
      `Current ReadCapacityUnits provisioned for index ${name}: ${before.read}. Requested ReadCapacityUnits: ${wanted.read}. ` +
      `Current WriteCapacityUnits provisioned for index ${name}: ${before.write}. Requested WriteCapacityUnits: ${wanted.write}. ` +
      'Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.',
  )
}

function refuseCooling(name: string, wanted: Partial<Units>, present: Units): void {
  const check = (unit: string, value: number | undefined, least: number) => {
    if (value === undefined || value >= least) return
    throw invalid(
      `Requested ${unit} for WarmThroughput for index ${name} is lower than current WarmThroughput, ` +
        'decreasing WarmThroughput is not supported',
    )
  }
  check('ReadUnitsPerSecond', wanted.read, present.read)
  check('WriteUnitsPerSecond', wanted.write, present.write)
}

/** What an index is ready for: what was asked, and no less than what it always has. */
export function warmOf(index: Index, billing: Billing): Units {
  const floor = billing === 'PAY_PER_REQUEST' ? onDemandWarm : (index.throughput ?? { read: 0, write: 0 })
  return {
    read: Math.max(floor.read, index.warm?.read ?? 0),
    write: Math.max(floor.write, index.warm?.write ?? 0),
  }
}
