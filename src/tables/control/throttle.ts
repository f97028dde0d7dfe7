import type { Clock } from '../../runtime/index.js'
import type { TableRow } from '../catalogue/table-row.js'
import { AwsError } from '../requests/aws-error.js'

export type Use = 'read' | 'write'

/** Units that were not used are saved up for so long. */
export const burstMs = 300_000

interface Bucket {
  /** Units that are left; below 0 after a request that was larger than what was left. */
  units: number
  /** Monotonic time of the last look. */
  at: number
  unitsPerSecond: number
}

/**
 * Token buckets for the throughput of tables. As on AWS a request is let through while its table has anything left, and
 * takes what it turns out to need; unused units of the last 300 seconds are there for bursts.
 */
export class Throttle {
  readonly #isOn: boolean
  readonly #clock: Clock
  readonly #arnOf: (table: string) => string
  readonly #buckets = new Map<string, Bucket>()

  constructor(isOn: boolean, clock: Clock, arnOf: (table: string) => string) {
    this.#isOn = isOn
    this.#clock = clock
    this.#arnOf = arnOf
  }

  /** Throws ProvisionedThroughputExceededException, or ThrottlingException for a table on demand with a maximum. */
  admit(row: TableRow, use: Use): void {
    if (!this.#isOn) return
    const bucket = this.#bucket(row, use)
    if (bucket && bucket.units <= 0) throw exceeded(row, use, this.#arnOf(row.name))
  }

  take(row: TableRow, use: Use, units: number): void {
    if (!this.#isOn) return
    const bucket = this.#bucket(row, use)
    if (bucket) bucket.units -= units
  }

  forget(table: number): void {
    this.#buckets.delete(`${table}:read`)
    this.#buckets.delete(`${table}:write`)
  }

  /** The bucket as it is now; undefined when there is no bound. */
  #bucket(row: TableRow, use: Use): Bucket | undefined {
    const unitsPerSecond = row.billing === 'PROVISIONED' ? row.throughput[use] : row.details?.onDemand?.[use]
    if (unitsPerSecond === undefined) return undefined
    const name = `${row.id}:${use}`
    const now = this.#clock.monotonic()
    const full = (unitsPerSecond * burstMs) / 1000
    let bucket = this.#buckets.get(name)
    if (!bucket) {
      bucket = { units: full, at: now, unitsPerSecond }
      this.#buckets.set(name, bucket)
    }
    const refilled = bucket.units + ((now - bucket.at) / 1000) * bucket.unitsPerSecond
    bucket.units = Math.min(full, refilled)
    bucket.at = now
    bucket.unitsPerSecond = unitsPerSecond
    return bucket
  }
}

function exceeded(row: TableRow, use: Use, resource: string): AwsError {
  const access = use === 'read' ? 'Read' : 'Write'
  if (row.billing === 'PROVISIONED') {
    const reason = `Table${access}ProvisionedThroughputExceeded`
    return new AwsError(
      'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
      'The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.',
      { extra: { ThrottlingReasons: [{ reason, resource }] } },
    )
  }
  const reason = `Table${access}MaxOnDemandThroughputExceeded`
  return new AwsError(
    'com.amazon.coral.availability#ThrottlingException',
    'Throughput exceeds the maximum OnDemandThroughput configured on table or index',
    { extra: { throttlingReasons: [{ reason, resource }] } },
  )
}

/** Whether an error says that a table's throughput is used up. */
export const isThrottled = (thrown: unknown): boolean =>
  thrown instanceof AwsError && /#(ProvisionedThroughputExceeded|Throttling)Exception$/.test(thrown.type)
