import type { TableRow } from '../catalogue/table-row.js'
import { isLeaving, othersOf } from './members.js'
import type { ReplicaStatus } from './replica-status.js'

/** Members of a TableDescription about the replicas in other regions; none without any. */
export function describeReplicas(
  { id, replication }: TableRow,
  statusOf: (table: number, region: string) => ReplicaStatus,
): object {
  const others = replication?.isActive ? othersOf(replication) : []
  if (others.length === 0) return {}
  return {
    GlobalTableVersion: '2019.11.21',
    Replicas: others.map((RegionName) => {
      const { status, description } =
        replication && isLeaving(replication, RegionName)
          ? { status: 'DELETING' as const, description: undefined }
          : statusOf(id, RegionName)
      return {
        RegionName,
        ReplicaStatus: status,
        ...(description === undefined ? {} : { ReplicaStatusDescription: description }),
      }
    }),
  }
}
