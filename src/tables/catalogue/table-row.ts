import { Family, type RowEffect } from '../../commit/index.js'
import type { Sequence, StreamId } from '../../log/index.js'
import type { TableDetails } from '../control/table-details.js'
import type { Index } from '../indexes/definition.js'
import type { Replication } from '../replication/members.js'
import type { KeySchema } from '../values/index.js'

const version = 1

export type ViewType = 'KEYS_ONLY' | 'NEW_IMAGE' | 'OLD_IMAGE' | 'NEW_AND_OLD_IMAGES'

/** A window over a table's change log, as AWS shows it. */
export interface AwsStream {
  readonly table: number
  readonly tableName: string
  readonly label: string
  readonly view: ViewType
  readonly schema: KeySchema
  /** The log that the window lies on, and its bounds: shards that were opened from `first` on, up to `last`. */
  readonly stream: StreamId
  readonly first: Sequence
  readonly last?: Sequence
  readonly createdAt: number
  readonly disabledAt?: number
}

/** What a table's row says. */
export interface TableRow {
  readonly id: number
  readonly name: string
  readonly uuid: string
  readonly createdAt: number
  readonly schema: KeySchema
  readonly billing: 'PROVISIONED' | 'PAY_PER_REQUEST'
  readonly throughput: { readonly read: number; readonly write: number }
  readonly deletionProtection: boolean
  readonly tableClass?: string
  readonly state: 'active' | 'deleting'
  /** The change log, while anything needs it. */
  readonly log?: StreamId
  /** Label of the AWS stream that is on. */
  readonly label?: string
  /** Label of the newest AWS stream, on or off. */
  readonly latestLabel?: string
  /** A pipeline or a bridge needs the log, with both images. */
  readonly isFollowed: boolean
  /** What only the control plane knows. */
  readonly details?: TableDetails
  /** The time to live, while it is on; `changedAt` stays when it is off. Milliseconds since 1970. */
  readonly expiry?: { readonly attribute?: string; readonly changedAt: number }
  /** Secondary indexes, in the order in which they were asked for. */
  readonly indexes?: readonly Index[]
  /** The number that the next index gets. */
  readonly nextIndex?: number
  /** Rows that are being derived from the items that there were: each job, and the last item row done in base64. */
  readonly backfills?: Readonly<Record<string, string>>
  /** Its replicas in other regions; stays, without being active, when there are none any more. */
  readonly replication?: Replication
  /** Prefixes, in hexadecimal, of rows that are being removed. */
  readonly removals?: readonly string[]
}

export const tableKey = (id: number): Buffer => {
  const key = Buffer.allocUnsafe(5)
  key[0] = Family.table
  key.writeUInt32BE(id, 1)
  return key
}

export const awsStreamKey = (table: number, label: string): Buffer => {
  const key = Buffer.alloc(5)
  key[0] = Family.awsStream
  key.writeUInt32BE(table, 1)
  return Buffer.concat([key, Buffer.from(label)])
}

const encode = (value: unknown): Buffer => Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(value))])
export const tableEffect = (row: TableRow): RowEffect => ({ key: tableKey(row.id), value: encode(row) })
export const awsStreamEffect = (stream: AwsStream): RowEffect => ({
  key: awsStreamKey(stream.table, stream.label),
  value: encode(stream),
})
