import type { Daemon } from '../daemon/index.js'
import type { Metrics } from '../runtime/index.js'
import type { ReadRooms } from './daemon-metrics.js'

/** How near the daemon is to its bounds: the disk, the queue before it, what RocksDB has to catch up with, the tail cache. */
export function capacityMetrics(metrics: Metrics, read: ReadRooms, daemon: Daemon): void {
  const bound = (name: string, help: string, look: () => number) =>
    metrics.read(name, 'gauge', help, [], () => [{ value: look() }])
  bound('storage_free_bytes_min', 'Below this much free space writes are refused (commit.freeBytesMin).', () => {
    return daemon.config.commit.freeBytesMin
  })
  bound('commit_queue_bytes_max', 'Bytes that may wait for the disk (commit.queueBytesMax).', () => {
    return daemon.config.commit.queueBytesMax
  })
  bound('tail_cache_bytes_max', 'What the newest chunks may take in memory (log.tailCacheBytesMax).', () => {
    return daemon.config.log.tailCacheBytesMax
  })
  read(
    'log_reads_total',
    'counter',
    'Reads of shards that found records, by where these lay: in the tail cache or in the store.',
    ['source'],
    ({ log: { reads } }) => [
      { labels: { source: 'cache' }, value: reads.cache },
      { labels: { source: 'store' }, value: reads.store },
    ],
  )
  read(
    'query_reads_total',
    'counter',
    'Queries for whole items, by where their answers lay: in the cache of such answers or in the store.',
    ['source'],
    ({ tables: { queryCache } }) => [
      { labels: { source: 'cache' }, value: queryCache.reads.cache },
      { labels: { source: 'store' }, value: queryCache.reads.store },
    ],
  )
  bound('query_cache_bytes_max', 'What answers of Query may take in memory (tables.queryCacheBytesMax).', () => {
    return daemon.config.tables.queryCacheBytesMax
  })
  read('query_cache_bytes', 'gauge', 'Answers of Query in memory.', [], ({ tables: { queryCache } }) => [
    { value: queryCache.bytes },
  ])
  const property = (name: string, help: string, rocksdb: string) =>
    read(name, 'gauge', help, [], ({ store }) => [{ value: Number(store.storage.property(`rocksdb.${rocksdb}`)) || 0 }])
  property(
    'store_compaction_pending_bytes',
    'Bytes that RocksDB has to rewrite to bring its levels back to their sizes.',
    'estimate-pending-compaction-bytes',
  )
  property('store_writes_stopped', '1 while RocksDB lets no write in, to catch up.', 'is-write-stopped')
  property(
    'store_write_rate_limit_bytes',
    'Bytes per second that RocksDB lets in while it slows writes down, to catch up; 0 when it does not.',
    'actual-delayed-write-rate',
  )
  property('store_block_cache_bytes', 'Blocks of table files in memory.', 'block-cache-usage')
}
