import { Family, type RowEffect } from '../commit/index.js'
import type { Sequence, ShardId, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { GroupKind, LeasedPosition } from './types.js'

/** What a group's row says. */
export interface GroupRow {
  readonly id: number
  readonly name: string
  readonly stream: StreamId
  readonly createdAt: number
  readonly kind: GroupKind
  readonly hold: boolean
}

const groupVersion = 1
const positionVersion = 2

export const groupKey = (id: number): Buffer => {
  const key = Buffer.allocUnsafe(5)
  key[0] = Family.group
  key.writeUInt32BE(id, 1)
  return key
}

export function groupRow(row: GroupRow): RowEffect {
  return {
    key: groupKey(row.id),
    value: Buffer.concat([Buffer.from([groupVersion]), Buffer.from(JSON.stringify(row))]),
  }
}

/** Rows from before there were kinds: who moves the group shows in its name. */
export function decodeGroup(value: Buffer): GroupRow {
  if (value[0] !== groupVersion) throw newer('group', value[0] as number, groupVersion)
  const row = JSON.parse(value.toString('utf8', 1)) as Omit<GroupRow, 'kind' | 'hold'> & Partial<GroupRow>
  const kind = row.kind ?? kindOf(row.name)
  return { ...row, kind, hold: row.hold ?? kind !== 'client' }
}

function kindOf(name: string): GroupKind {
  if (name.startsWith('pipeline:')) return 'pipeline'
  return name.startsWith('bridge:') ? 'bridge' : 'client'
}

/** `position`: family, group u32be, shard u32be. */
export const positionKey = (group: number, shard: ShardId): Buffer => {
  const key = Buffer.allocUnsafe(9)
  key[0] = Family.position
  key.writeUInt32BE(group, 1)
  key.writeUInt32BE(shard, 5)
  return key
}

/** version u8 (2), flags u8 (1: ended), next sequence number double, lease u32. */
export function positionRow(group: number, position: LeasedPosition): RowEffect {
  const value = Buffer.allocUnsafe(14)
  value[0] = positionVersion
  value[1] = position.ended ? 1 : 0
  value.writeDoubleLE(position.next, 2)
  value.writeUInt32LE(position.lease, 10)
  return { key: positionKey(group, position.shard), value }
}

/** Version 1 has no lease. */
export function decodePosition(key: Buffer, value: Buffer): { group: number; position: LeasedPosition } {
  const version = value[0] as number
  if (version < 1 || version > positionVersion) throw newer('position', version, positionVersion)
  return {
    group: key.readUInt32BE(1),
    position: {
      shard: key.readUInt32BE(5) as ShardId,
      next: value.readDoubleLE(2) as Sequence,
      ended: ((value[1] as number) & 1) === 1,
      lease: version === 1 ? 0 : value.readUInt32LE(10),
    },
  }
}

const newer = (what: string, version: number, known: number): MillraceError =>
  new MillraceError(
    'DATA_DIR_NEWER',
    `A ${what} row has version ${version}; this version of Millrace knows up to ${known}.`,
  )
