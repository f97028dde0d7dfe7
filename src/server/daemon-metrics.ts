import { isAuthConfigured } from '../config/index.js'
import type { Daemon, Rooms } from '../daemon/index.js'
import { lagRecords, lagSeconds } from '../groups/index.js'
import type { StreamId } from '../log/index.js'
import type { Metrics, Sample } from '../runtime/index.js'
import { capacityMetrics } from './capacity-metrics.js'
import { functionMetrics } from './function-metrics.js'
import { mappingMetrics } from './mapping-metrics.js'
import { perStream } from './per-stream.js'
import { pipelineMetrics } from './pipeline-metrics.js'
import { replicaMetrics } from './replica-metrics.js'
import { retentionMetrics } from './retention-metrics.js'
import { searchMetrics } from './search-metrics.js'

/** Registers a metric that is looked up in the rooms, and has no sample while there are none. */
export type ReadRooms = (
  name: string,
  kind: 'gauge' | 'counter',
  help: string,
  labels: readonly string[],
  look: (rooms: Rooms) => readonly Sample[] | Promise<readonly Sample[]>,
) => void

/**
 * Registers what the daemon and its rooms can tell. The counters of the store outlive its rooms, so that they do not fall
 * when it is reopened; those of pipelines and bridges begin again, as at a restart. Returns what must be called with the
 * daemon and with each new set of rooms.
 */
export function daemonMetrics(metrics: Metrics): { watch(daemon: Daemon): void; onRooms(rooms: Rooms): void } {
  const appendedRecords = metrics.counter('appended_records_total', 'Records that commits added to the log.')
  const appendedBytes = metrics.counter('appended_bytes_total', 'Bytes of chunks that commits added to the log.')
  const commits = metrics.counter('commits_total', 'Commits.')
  const effectSets = metrics.counter('commit_effect_sets_total', 'Effect sets that commits wrote.')
  const commitSeconds = metrics.histogram(
    'commit_seconds',
    'Time of a commit from its packing to its return.',
    'seconds',
  )
  const commitBytes = metrics.histogram('commit_bytes', 'Size of a commit.', 'bytes')
  const trimmedBytes = metrics.counter('trimmed_bytes_total', 'Bytes of chunks that retention took out of the log.')
  const groupsTrimmed = metrics.counter(
    'groups_trimmed_total',
    'How often a group lost records that it had not read to the retention of its stream.',
  )
  const expired = metrics.counter('ttl_deleted_total', 'Items that were deleted because their time to live was over.')
  const balanced = {
    split: metrics.counter('splits_total', 'Splits of shards by what made their load, or manual.', ['reason']),
    merge: metrics.counter('merges_total', 'Merges of shards by their reason.', ['reason']),
    park: metrics.counter('parks_total', 'Pauses of hot shards that no cut helped, by the reason.', ['reason']),
  }
  const searches = searchMetrics(metrics)
  const functions = functionMetrics(metrics)
  const openings = metrics.counter('store_openings_total', 'How often the store was opened by this process.')

  return {
    onRooms(rooms) {
      const { store, log, balancer, retention, tables, search } = rooms
      openings(1)
      store.commit.observe({
        committed({ seconds, bytes, effectSets: sets }) {
          commits(1)
          effectSets(sets)
          commitSeconds(seconds)
          commitBytes(bytes)
        },
      })
      retention.observe({ trimmed: trimmedBytes, groupTrimmed: () => groupsTrimmed(1) })
      tables.sweeper.observe(expired)
      search.observe(searches.observer)
      functions.onRooms(rooms)
      balancer.observe(({ kind, reason }) => balanced[kind](1, { reason }))
      log.observe(({ records, bytes }) => {
        appendedRecords(records)
        appendedBytes(bytes)
      })
    },
    watch(daemon) {
      watchDaemon(metrics, daemon)
      const read: ReadRooms = (name, kind, help, labels, look) =>
        metrics.read(name, kind, help, labels, () => (daemon.state.state === 'ready' ? look(daemon.rooms) : []))
      watchStore(read)
      capacityMetrics(metrics, read, daemon)
      watchLog(read)
      retentionMetrics(read)
      replicaMetrics(read)
      pipelineMetrics(read)
      searches.watch(read)
      functions.watch(read)
      watchClients(read)
      watchBridges(read)
      mappingMetrics(read)
    },
  }
}

/** What is told also while the store is closed. */
function watchDaemon(metrics: Metrics, daemon: Daemon): void {
  const flag = (name: string, help: string, look: () => boolean) =>
    metrics.read(name, 'gauge', help, [], () => [{ value: look() ? 1 : 0 }])
  flag('ready', '1 while the store is open and requests are answered.', () => daemon.state.state === 'ready')
  flag('store_poisoned', '1 while a failed write keeps the store closed.', () => {
    const { state } = daemon.state
    return state === 'poisoned' || state === 'reopening' || state === 'failed'
  })
  flag('storage_full', '1 while writes are refused for want of disk space.', () => daemon.storageFull)
  metrics.read('storage_free_bytes', 'gauge', "Free bytes of the data directory's disk.", [], () => [
    { value: daemon.freeBytes },
  ])
  flag('durability_relaxed', '1 when commits are not synced.', () => daemon.config.durability === 'relaxed')
  flag(
    'listen_insecure',
    '1 when the daemon may be reached beyond loopback without authentication.',
    () => daemon.config.listen.insecure && !isAuthConfigured(daemon.config.auth),
  )
  metrics.read('worker_restarts_total', 'counter', 'Worker threads that ended and were replaced.', [], () => [
    { value: daemon.workers.restarts },
  ])
  metrics.read(
    'worker_memory_restarts_total',
    'counter',
    'Of these, those that took too much memory, in their heap or outside of it.',
    [],
    () => [{ value: daemon.workers.memoryRestarts }],
  )
}

function watchStore(read: ReadRooms): void {
  read('clock_alarm', 'gauge', '1 while the wall clock is not believed.', [], ({ store }) => [
    { value: store.commit.time.alarm ? 1 : 0 },
  ])
  read('commit_queue_bytes', 'gauge', 'Bytes that wait for the disk.', [], ({ store }) => [
    { value: store.commit.queuedBytes },
  ])
  read('store_bytes', 'gauge', 'Bytes of the store: its table files, its write buffers.', ['kind'], ({ store }) => [
    { labels: { kind: 'files' }, value: Number(store.storage.property('rocksdb.total-sst-files-size')) || 0 },
    { labels: { kind: 'memory' }, value: Number(store.storage.property('rocksdb.cur-size-all-mem-tables')) || 0 },
  ])
}

function watchLog(read: ReadRooms): void {
  read(
    'ttl_lag_seconds',
    'gauge',
    'How long the oldest item has been due that its time to live has not deleted yet.',
    [],
    ({ tables }) => [{ value: tables.ttlLagSeconds() }],
  )
  read('tail_cache_bytes', 'gauge', 'Newest chunks in memory.', [], ({ log }) => [{ value: log.tailCacheBytes }])
  const ofStream = (name: string, help: string, look: (rooms: Rooms, stream: StreamId) => number) =>
    read(name, 'gauge', help, ['stream'], (rooms) => perStream(rooms.log.streams(), ({ id }) => look(rooms, id)))
  ofStream(
    'shards_open',
    'Open shards.',
    ({ log }, stream) => log.shards(stream).filter((shard) => shard.state === 'open').length,
  )
  ofStream(
    'shards_unsplittable',
    'Open shards over their target that no cut helps; `millrace shards top` names their keys.',
    ({ balancer }, stream) => balancer.summary(stream).unsplittable,
  )
  ofStream(
    'shard_load',
    'Load of the hottest shard, in targets, over 10 s; above 1 it splits.',
    ({ balancer }, stream) => balancer.summary(stream).load,
  )
  read(
    'group_lag_records',
    'gauge',
    'Sequence numbers of its shards that are not behind the group yet: an upper bound of records. 1 while due timers of what a pipeline has read fire.',
    ['group'],
    ({ log, groups }) =>
      groups.list().map((group) => ({ labels: { group: group.name }, value: lagRecords(log, group) })),
  )
  read(
    'group_lag_seconds',
    'gauge',
    'Age of the oldest record that the group has not passed.',
    ['group'],
    async ({ log, groups }) => {
      const samples: Sample[] = []
      for (const group of groups.list()) {
        // A record that cannot be read has no age; the group says so itself.
        const value = await lagSeconds(log, group, Date.now()).catch(() => undefined)
        if (value !== undefined) samples.push({ labels: { group: group.name }, value: Math.max(0, value) })
      }
      return samples
    },
  )
}

function watchClients(read: ReadRooms): void {
  read('group_members', 'gauge', 'Members that have joined a group.', ['group'], ({ groups, memberships }) =>
    groups
      .list()
      .filter(({ kind }) => kind === 'client')
      .map(({ name }) => ({ labels: { group: name }, value: memberships.membersOf(name)?.count ?? 0 })),
  )
  read('poll_bytes', 'gauge', 'Chunks in answers to polls that are not sent yet.', [], ({ memberships }) => [
    { value: memberships.pollBytes },
  ])
  read('producers', 'gauge', 'Idempotent producers that a stream knows.', ['stream'], ({ log, producers }) =>
    perStream(
      log.streams().filter(({ kind }) => kind === 'plain'),
      ({ id }) => producers.count(id),
    ),
  )
}

type BridgeView = ReturnType<Rooms['bridges']['list']>[number]

function watchBridges(read: ReadRooms): void {
  const each = (name: string, kind: 'gauge' | 'counter', help: string, look: (bridge: BridgeView) => number) =>
    read(name, kind, help, ['bridge'], ({ bridges }) =>
      bridges.list().map((bridge) => ({ labels: { bridge: bridge.name }, value: look(bridge) })),
    )
  each(
    'bridge_records_total',
    'counter',
    'Records that brokers have acknowledged; of a bridge in, messages that are stored.',
    ({ statistics }) => {
      return statistics.records
    },
  )
  each('bridge_sent_bytes_total', 'counter', 'Bytes of acknowledged messages, before compression.', (bridge) => {
    return bridge.statistics.bytes
  })
  each(
    'bridge_lag_records',
    'gauge',
    'Records that are not delivered; of shards from before records were counted an upper bound.',
    ({ statistics }) => statistics.lagRecords,
  )
  read(
    'bridge_lag_seconds',
    'gauge',
    'Age of the oldest record that is not delivered.',
    ['bridge'],
    async ({ bridges }) =>
      (await bridges.measured()).map(({ name, statistics }) => ({
        labels: { bridge: name },
        value: statistics.lagSeconds,
      })),
  )
  each(
    'bridge_dead_letters_total',
    'counter',
    'Messages that a bridge in could not store as what they should be, and records that a bridge out could not send: put aside.',
    ({ statistics }) => statistics.deadLetters,
  )
  each('bridge_errors_total', 'counter', 'Failed attempts of a bridge.', ({ statistics }) => statistics.errors)
  each('bridge_running', 'gauge', '1 while a bridge delivers, 0 while it waits or has failed.', ({ state }) =>
    state.kind === 'running' ? 1 : 0,
  )
  each('bridge_failed', 'gauge', '1 when a bridge has failed and does not try again by itself.', ({ state }) =>
    state.kind === 'failed' ? 1 : 0,
  )
  each(
    'bridge_waiting_seconds',
    'gauge',
    'How long a bridge has been waiting for its broker; 0 when it is not.',
    ({ state }) => (state.kind === 'waiting' ? Math.max(0, Date.now() - state.since) / 1000 : 0),
  )
  each('bridge_paused', 'gauge', '1 when a bridge is paused because somebody wanted it.', ({ state }) =>
    state.kind === 'paused' ? 1 : 0,
  )
}
