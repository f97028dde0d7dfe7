import type { Daemon, Rooms } from '../daemon/index.js'
import type { Metrics, Sample } from '../runtime/index.js'

/**
 * Registers what the rooms can tell. The counters outlive the rooms, so that they do not fall when the store is reopened.
 * Returns what must be called with each new set of rooms.
 */
export function daemonMetrics(metrics: Metrics): { watch(daemon: Daemon): void; onRooms(rooms: Rooms): void } {
  const appendedRecords = metrics.counter('appended_records_total', 'Records that commits added to the log.')
  const appendedBytes = metrics.counter('appended_bytes_total', 'Bytes of chunks that commits added to the log.')
  const commits = metrics.counter('commits_total', 'Commits.')
  const commitSeconds = metrics.histogram(
    'commit_seconds',
    'Time of a commit from its packing to its return.',
    'seconds',
  )
  const commitBytes = metrics.histogram('commit_bytes', 'Size of a commit.', 'bytes')
  const reopenings = metrics.counter('store_openings_total', 'How often the store was opened by this process.')

  return {
    onRooms({ store, log }) {
      reopenings(1)
      store.commit.observe({
        committed({ seconds, bytes }) {
          commits(1)
          commitSeconds(seconds)
          commitBytes(bytes)
        },
      })
      log.observe(({ records, bytes }) => {
        appendedRecords(records)
        appendedBytes(bytes)
      })
    },
    watch(daemon) {
      const read = (
        name: string,
        help: string,
        labels: readonly string[],
        look: (rooms: Rooms) => readonly Sample[],
        kind: 'gauge' | 'counter' = 'gauge',
      ) => metrics.read(name, kind, help, labels, () => (daemon.state.state === 'ready' ? look(daemon.rooms) : []))
      metrics.read('store_poisoned', 'gauge', '1 while a failed write keeps the store closed.', [], () => {
        const { state } = daemon.state
        return [{ value: state === 'reopening' || state === 'failed' ? 1 : 0 }]
      })
      metrics.read('storage_full', 'gauge', '1 while writes are refused for want of disk space.', [], () => [
        { value: daemon.storageFull ? 1 : 0 },
      ])
      metrics.read('durability_relaxed', 'gauge', '1 when commits are not synced.', [], () => [
        { value: daemon.config.durability === 'relaxed' ? 1 : 0 },
      ])
      metrics.read(
        'listen_insecure',
        'gauge',
        '1 when the daemon listens beyond loopback without authentication.',
        [],
        () => [{ value: daemon.config.listen.insecure ? 1 : 0 }],
      )
      read('clock_alarm', '1 while the wall clock is not believed.', [], ({ store }) => [
        { value: store.commit.time.alarm ? 1 : 0 },
      ])
      read('commit_queue_bytes', 'Bytes that wait for the disk.', [], ({ store }) => [
        { value: store.commit.queuedBytes },
      ])
      read('tail_cache_bytes', 'Newest chunks in memory.', [], ({ log }) => [{ value: log.tailCacheBytes }])
      read('store_bytes', 'Bytes of table files and write buffers of the store.', ['kind'], ({ store }) => [
        { labels: { kind: 'files' }, value: Number(store.storage.property('rocksdb.total-sst-files-size')) || 0 },
        { labels: { kind: 'memory' }, value: Number(store.storage.property('rocksdb.cur-size-all-mem-tables')) || 0 },
      ])
      read('shards_open', 'Open shards.', ['stream'], ({ log }) =>
        log.streams().map((stream) => ({
          labels: { stream: stream.name },
          value: log.shards(stream.id).filter((shard) => shard.state === 'open').length,
        })),
      )
      read(
        'group_lag_records',
        'Sequence numbers of its shards that are not behind the group yet: an upper bound of records.',
        ['group'],
        ({ log, groups }) =>
          groups.list().map((group) => {
            const ended = new Set(
              group
                .positions()
                .filter((position) => position.ended)
                .map((position) => position.shard),
            )
            const next = new Map(group.positions().map((position) => [position.shard, position.next]))
            const lag = log
              .shards(group.stream)
              .filter((shard) => !ended.has(shard.id))
              .reduce(
                (sum, shard) =>
                  sum +
                  Math.max(
                    0,
                    log.lastSequence(shard.id) - Math.max((next.get(shard.id) ?? 0) - 1, shard.firstSequence),
                  ),
                0,
              )
            return { labels: { group: group.name }, value: lag }
          }),
      )
      read(
        'bridge_records_total',
        'Records that brokers have acknowledged.',
        ['bridge'],
        ({ bridges }) =>
          bridges.list().map((bridge) => ({ labels: { bridge: bridge.name }, value: bridge.statistics.records })),
        'counter',
      )
      read(
        'bridge_lag_seconds',
        'Age of the oldest record that was read and not acknowledged.',
        ['bridge'],
        ({ bridges }) =>
          bridges.list().map((bridge) => ({ labels: { bridge: bridge.name }, value: bridge.statistics.lagSeconds })),
      )
      read(
        'bridge_errors_total',
        'Failed attempts of a bridge.',
        ['bridge'],
        ({ bridges }) =>
          bridges.list().map((bridge) => ({ labels: { bridge: bridge.name }, value: bridge.statistics.errors })),
        'counter',
      )
    },
  }
}
