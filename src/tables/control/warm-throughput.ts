import type { TableRow } from '../catalogue/table-row.js'
import { validation } from '../requests/aws-error.js'
import { type Input, object, whole } from '../requests/request.js'
import type { Units } from './table-details.js'
import type { Throughput } from './throughput.js'

/** What a table on demand is ready for from the beginning. */
const onDemandWarm: Throughput = { read: 12_000, write: 4000 }
/** What one partition of AWS takes. */
const partitionUnits: Throughput = { read: 3000, write: 1000 }

const invalid = (what: string): Error => validation(`One or more parameter values were invalid: ${what}`)

/** Reads WarmThroughput; undefined when nothing is given in it. */
export function readWarm(input: Input): Units | undefined {
  const given = object(input, 'WarmThroughput')
  const read = given && whole(given, 'ReadUnitsPerSecond')
  const write = given && whole(given, 'WriteUnitsPerSecond')
  if (read === undefined && write === undefined) return undefined
  return { ...(read === undefined ? {} : { read }), ...(write === undefined ? {} : { write }) }
}

/** The least that a new table is ready for. */
const initialWarm = (billing: TableRow['billing'], throughput: Throughput): Throughput =>
  billing === 'PAY_PER_REQUEST' ? onDemandWarm : throughput

/** What a table is ready for: it never becomes less. */
export function warmOf({
  billing,
  throughput,
  details,
}: Pick<TableRow, 'billing' | 'throughput' | 'details'>): Throughput {
  const least = initialWarm(billing, throughput)
  return {
    read: Math.max(details?.warm?.read ?? 0, least.read),
    write: Math.max(details?.warm?.write ?? 0, least.write),
  }
}

/** Throws where a new table asks for less than it has anyway. */
export function refuseColdTable(wanted: Units | undefined, billing: TableRow['billing'], throughput: Throughput): void {
  const least = initialWarm(billing, throughput)
  const refuse = (units: string, capacity: string) =>
    invalid(
      billing === 'PAY_PER_REQUEST'
        ? `Requested ${units} for WarmThroughput for table is lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial`
        : `Requested ${units} for WarmThroughput for table is lower than ${capacity} of ProvisionedThroughput`,
    )
  if (wanted?.read !== undefined && wanted.read < least.read) throw refuse('ReadUnitsPerSecond', 'ReadCapacityUnits')
  if (wanted?.write !== undefined && wanted.write < least.write)
    throw refuse('WriteUnitsPerSecond', 'WriteCapacityUnits')
}

/** Throws where a table would become less ready. */
export function refuseColder(wanted: Units, before: Throughput): void {
  const refuse = (units: string) =>
    invalid(
      `Requested ${units} for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported`,
    )
  if (wanted.read !== undefined && wanted.read < before.read) throw refuse('ReadUnitsPerSecond')
  if (wanted.write !== undefined && wanted.write < before.write) throw refuse('WriteUnitsPerSecond')
}

/** The partitions that AWS would give such a table: one for every started 1,000 write or 3,000 read units. */
export function partitionsFor({ read, write }: Throughput): number {
  return Math.max(1, Math.ceil(read / partitionUnits.read), Math.ceil(write / partitionUnits.write))
}

export function describeWarm({ read, write }: Throughput, status: 'ACTIVE' | 'UPDATING'): object {
  return { WarmThroughput: { ReadUnitsPerSecond: read, WriteUnitsPerSecond: write, Status: status } }
}
