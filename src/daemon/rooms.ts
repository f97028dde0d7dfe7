import { Balancer } from '../balance/index.js'
import { Counters, epochOf, Family, valuesOfFamily } from '../commit/index.js'
import type { Config } from '../config/index.js'
import {
  type CodeFolder,
  ConfiguredTriggers,
  type FunctionHost,
  type FunctionLogs,
  Functions,
  Mappings,
} from '../functions/index.js'
import { DurableGroups, Memberships } from '../groups/index.js'
import { Bridges, Clusters, isOfContent, readTopic, TopicSender } from '../kafka/index.js'
import { eventIdPrefixes, eventIds, ShardedLog, type StreamId } from '../log/index.js'
import { type KafkaAccess, Pipelines, TableSnapshots } from '../pipelines/index.js'
import { Producers } from '../producers/index.js'
import { HttpTransport, Listener, Replication } from '../replicate/index.js'
import { Retention } from '../retention/index.js'
import { type Clock, killPoint, type Logger, MillraceError, version } from '../runtime/index.js'
import { SearchIndexes } from '../search/index.js'
import { decodeChange, Tables } from '../tables/index.js'
import type { WorkerPool } from '../workers/index.js'
import type { DataDirectory } from './data-directory.js'
import { type OpenStore, openStore } from './open-store.js'
import { showKey } from './show-key.js'

/** Everything that stands on one opening of the store. After a failed write all of it is dropped and built again. */
export interface Rooms {
  readonly store: OpenStore
  readonly log: ShardedLog
  readonly balancer: Balancer
  readonly groups: DurableGroups
  readonly memberships: Memberships
  readonly producers: Producers
  readonly tables: Tables
  readonly pipelines: Pipelines
  readonly bridges: Bridges
  readonly functions: Functions
  readonly mappings: Mappings
  readonly triggers: ConfiguredTriggers
  readonly search: SearchIndexes
  readonly retention: Retention
  readonly replication: Replication
  /** Where links of other regions come in; undefined where none may. */
  readonly links: Listener | undefined
  readonly transport: HttpTransport
}

/** What runs functions; it outlives the rooms. */
export interface FunctionThreads {
  readonly host: FunctionHost
  readonly code: CodeFolder
  readonly logs: FunctionLogs
}

export interface RoomsOptions {
  readonly config: Config
  readonly directory: DataDirectory
  readonly workers: WorkerPool
  readonly functions: FunctionThreads
  readonly clock: Clock
  readonly logger: Logger
  readonly onPoisoned: (error: MillraceError) => void
}

export async function openRooms(options: RoomsOptions): Promise<Rooms> {
  const { config, directory, clock, logger, onPoisoned } = options
  const store = await openStore({
    directory,
    synced: config.durability === 'synced',
    writeBufferBytes: config.store.writeBufferBytes,
    blockCacheBytes: config.store.blockCacheBytes,
    compression: config.store.compression,
    limits: config.commit,
    clock,
    logger,
    onPoisoned,
  })
  try {
    return await buildRooms(options, store)
  } catch (error) {
    await store.close()
    throw error
  }
}

async function buildRooms(
  { config, directory, workers, functions: threads, clock, logger }: RoomsOptions,
  store: OpenStore,
): Promise<Rooms> {
  const { storage, commit } = store
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: config.log })
  const balancer = new Balancer({
    storage,
    commit,
    log,
    clock,
    logger,
    random: Math.random,
    policy: config.split,
    shardsMax: config.log.shardsMax,
    showKey,
  })
  const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: config.groups.groupsMax })
  const memberships = new Memberships({ groups, log, commit, clock, limits: config.groups })
  const producers = await Producers.open({
    storage,
    commit,
    counters,
    log,
    clock,
    limits: config.producers,
    onError: (error) => logger.warn({ error: String(error) }, 'Idle producers could not be removed.'),
  })
  const { region, accountId } = config.aws
  const eventId = eventIds(region, commit.storeId, commit.epochs)
  const eventIdPrefix = eventIdPrefixes(region, commit.storeId, commit.epochs)
  const { streamRetentionMs } = config.aws
  const tables = await Tables.open({
    storage,
    commit,
    counters,
    log,
    clock,
    logger,
    region,
    accountId,
    eventIdPrefix,
    streamRetentionMs,
    control: config.tables,
    ttl: config.ttl,
    replicas: config.replication,
  })
  const clusters = new Clusters(config.kafka.clusters, clock, logger)
  const resolveSource = (source: string): Promise<StreamId> => sourceStream(source, log, tables)
  const topics = topicAccess(config, clusters, logger)
  const pipelines = await Pipelines.open({
    storage,
    commit,
    counters,
    log,
    groups,
    tables,
    workers,
    load: balancer,
    clock,
    logger,
    sinks: { tables, log },
    idOf: eventId,
    kafka: {
      ...topics,
      read: ({ topic, start, isBounded, ...target }) =>
        readTopic({
          cluster: clusters.openLater({ ...target, logger }),
          topic,
          start,
          isBounded,
          clock,
          random: Math.random,
          logger,
        }),
    },
    random: Math.random,
    limits: { ...config.pipelines, effectSetBytesMax: config.commit.effectSetBytesMax },
    pipelinesMax: config.pipelines.pipelinesMax,
    moduleBytesMax: config.pipelines.moduleBytesMax,
    filesFolder: directory.files,
    filesOutside: config.pipelines.filesOutside,
    modulesFolder: directory.modules,
  })
  const bridges = new Bridges({
    commit,
    groups,
    log,
    tables,
    clock,
    logger,
    origin: { version, region, eventIdPrefix, epochOf: (sequence) => epochOf(commit.epochs, sequence) },
    store: { id: commit.storeId, epoch: commit.epoch },
    random: Math.random,
    resolveSource,
    decodeChange,
    openCluster: (target) => clusters.open(target),
    snapshots: new TableSnapshots({ log, commit, clock, tables }),
    converters: { workers, folder: directory.modules, bundleBytesMax: config.pipelines.moduleBytesMax },
    stored: await valuesOfFamily(storage, Family.bridge),
  })
  const functions = await Functions.open({
    ...threads,
    storage,
    commit,
    clock,
    logger,
    region,
    accountId,
    configured: config.functions,
    limits: config.functionHost,
  })
  const mappings = await Mappings.open({
    storage,
    commit,
    log,
    groups,
    tables,
    clock,
    logger,
    random: Math.random,
    region,
    accountId,
    eventIdPrefix,
    eventIdOf: eventId,
    functions,
    invoker: functions,
    kafka: topics,
    filesFolder: directory.files,
    filesOutside: config.pipelines.filesOutside,
    bufferBytesMax: config.functionHost.mappingBufferBytesMax,
  })
  const triggers = new ConfiguredTriggers({ configured: triggersOf(config), mappings, tables, clock, logger })
  const search = new SearchIndexes({
    commit,
    tables,
    log,
    clock,
    logger,
    settings: config.search,
    stored: await valuesOfFamily(storage, Family.searchIndex),
  })
  const { ms, bytes, deletedMs, ...retentionLimits } = config.retention
  const retention = new Retention({
    log,
    groups,
    commit,
    storage,
    clock,
    logger,
    defaults: { ms, bytes, deletedMs, changeLogMs: config.changeLog.retentionMs, windowMs: streamRetentionMs },
    ...retentionLimits,
    hasWindow: (stream) => tables.hasWindow(stream),
    expireWindows: () => tables.expireStreams(),
  })
  const tls = Object.values(config.replication.tls).some((path) => path !== '') ? config.replication.tls : undefined
  const regions = new Map(
    Object.entries(config.regions).map(([name, address]) => [name, { ...address, ...(tls ? { tls } : {}) }]),
  )
  const transport = new HttpTransport(region, regions)
  const replication = new Replication({
    replicas: tables.replicas,
    groups,
    log,
    commit,
    storage,
    clock,
    logger,
    random: Math.random,
    transport,
    regions: [...regions.keys()],
    settings: config.replication,
  })
  const { host, port, enabled } = config.replication.listen
  const links = !enabled
    ? undefined
    : await Listener.open({ region, host, port, ...(tls ? { tls } : {}), answer: replication.answer, logger })
  if (links) logger.info({ host, port: links.port }, 'Links of other regions come in here.')
  killPoint('open:loaded')
  producers.start()
  balancer.start()
  pipelines.start()
  bridges.start()
  retention.start()
  tables.start()
  functions.start()
  search.start()
  mappings.start()
  triggers.start()
  await replication.start()
  return {
    store,
    log,
    balancer,
    groups,
    memberships,
    producers,
    tables,
    pipelines,
    bridges,
    search,
    functions,
    mappings,
    triggers,
    retention,
    replication,
    links,
    transport,
  }
}

/** The way to Kafka topics, which pipelines and mappings are lent. */
const topicAccess = (config: Config, clusters: Clusters, logger: Logger) => ({
  brokers: config.kafka.brokers,
  clusters: clusters.names,
  open: ({ topic, compression, ...target }: Parameters<KafkaAccess['open']>[0]) =>
    new TopicSender({ cluster: clusters.openLater({ ...target, logger }), topic, compression }),
  isOfContent,
})

const triggersOf = ({ functions }: Config) =>
  Object.fromEntries(Object.entries(functions).map(([name, { triggers }]) => [name, triggers]))

/** `table:NAME` is a table's change log, which this switches on; anything else a plain stream. */
async function sourceStream(source: string, log: ShardedLog, tables: Tables): Promise<StreamId> {
  if (source.startsWith('table:')) return tables.changeLog(source.slice('table:'.length))
  const stream = log.streamNamed(source)
  if (!stream) throw new MillraceError('NOT_FOUND', `There is no stream named ${source}.`)
  return stream.id
}

/** Stops what runs, latest room first, then finishes the queue, syncs and closes the store. */
export async function closeRooms(rooms: Rooms): Promise<void> {
  rooms.memberships.close()
  const { pipelines, bridges, search, functions, mappings, triggers, balancer, retention } = rooms
  const { replication, links, transport } = rooms
  await triggers.close()
  await links?.close()
  await replication.close()
  transport.close()
  await Promise.all([
    pipelines.close(),
    bridges.close(),
    search.close(),
    // What is under way may end: no call begins once the functions are closed.
    mappings.close().then(() => functions.close()),
    balancer.close(),
    retention.close(),
  ])
  await rooms.producers.close()
  await rooms.tables.close()
  await rooms.store.commit.close()
  await rooms.store.close()
}
