import type { Rooms } from '../daemon/index.js'
import type { ReadRooms } from './daemon-metrics.js'

type View = ReturnType<Rooms['replication']['views']>[number]
type Source = ReturnType<Rooms['replication']['sources']>[number]

/** What links to other regions, and those from there, can tell. */
export function replicaMetrics(read: ReadRooms): void {
  const perLink = (name: string, kind: 'gauge' | 'counter', help: string, look: (view: View) => number): void =>
    read(name, kind, help, ['table', 'region'], ({ replication }) =>
      replication.views().map((view) => ({ labels: { table: view.table, region: view.region }, value: look(view) })),
    )
  const perSource = (name: string, kind: 'gauge' | 'counter', help: string, look: (source: Source) => number): void =>
    read(name, kind, help, ['table', 'region'], ({ replication }) =>
      replication
        .sources()
        .map((source) => ({ labels: { table: source.table, region: source.region }, value: look(source) })),
    )
  perLink('replica_lag_records', 'gauge', 'Sequence numbers that a region is behind.', (view) => view.lagRecords)
  perLink(
    'replica_lag_seconds',
    'gauge',
    'Age of the oldest change that was read for a region and has not arrived.',
    (view) => view.lagSeconds,
  )
  perLink('replica_following', 'gauge', '1 while a link brings changes; 0 while it cannot, or still fills.', (view) =>
    view.phase === 'following' ? 1 : 0,
  )
  perLink(
    'replica_held',
    'gauge',
    '1 while a link is held because the clock here is too far ahead of that of the region.',
    (view) => (view.phase === 'held' ? 1 : 0),
  )
  perLink('replica_sent_changes_total', 'counter', 'Changes that a region has taken.', (view) => view.sentChanges)
  perLink('replica_sent_batches_total', 'counter', 'Calls that brought them.', (view) => view.sentBatches)
  perSource('replica_applied_total', 'counter', 'Changes of a region that were newer.', (source) => source.applied)
  perSource(
    'replica_ignored_total',
    'counter',
    'Changes of a region that were older than what was here, or here already.',
    (source) => source.ignored,
  )
  perSource(
    'replica_conflicts_total',
    'counter',
    'Writes that lost against others which did not know of them, as a region brought them together.',
    (source) => source.conflicts,
  )
  perSource(
    'replica_clock_ahead_seconds',
    'gauge',
    'How far the clock of a region whose link is held is ahead; 0 when none is.',
    (source) => source.aheadMs / 1000,
  )
  read(
    'replica_tombstones',
    'gauge',
    'Deletions that are remembered for replicas, as of the last look.',
    [],
    (rooms) => [{ labels: {}, value: rooms.replication.tombstones }],
  )
}
