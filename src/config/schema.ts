import { availableParallelism, totalmem } from 'node:os'
import { z } from 'zod'
import { functionNameForm, functionSchema } from './functions.js'
import { brokerAddress, clusterSchema } from './kafka-clusters.js'
import { linkCertificates, regionName, regionSchema } from './regions.js'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

const count = (initial: number, description: string, max = 1_000_000) =>
  z.int().min(1).max(max).default(initial).describe(description)
/** `min` is what the part works with at all; a cache may be nothing. */
const bytes = (initial: number, description: string, min = KiB) =>
  z.int().min(min).max(Number.MAX_SAFE_INTEGER).default(initial).describe(description)
/** A longer timer than Node's longest would fire at once. */
const timerMsMax = 2 ** 31 - 1
const ms = (initial: number, description: string, min = 1) =>
  z.int().min(min).max(timerMsMax).default(initial).describe(description)
/** An age, which is no timer. */
const age = (initial: number, description: string, min = 1) =>
  z.int().min(min).max(Number.MAX_SAFE_INTEGER).default(initial).describe(description)
const dayMs = 24 * 60 * 60 * 1000

const share = (initial: number, description: string, max = 100) =>
  z.number().min(0.01).max(max).default(initial).describe(description)
const rate = (initial: number, description: string, min = 1) =>
  z.number().min(min).max(Number.MAX_SAFE_INTEGER).default(initial).describe(description)

/** Three quarters of the machine's memory, or of what its container lets the process have. */
function rssBytesInitial(): number {
  const constrained = process.constrainedMemory() ?? 0
  return Math.floor(0.75 * (constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()))
}

/** An access key as it is written down. A slash in its id would end the id where a request names it. */
export const keyForm = /^[^:/\s,]+:[^:\s,]+(:[^:\s,]+)?$/
/** What a header can carry as it is. */
export const tokenForm = /^[!-~]{16,}$/

/**
 * The policy of splitting. Load is the largest of what a shard is given and what it costs, each divided by its target.
 * docs/benchmarks.md says where the targets come from; `millrace bench shard` measures them on another machine.
 */
export const splitSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether shards split by themselves.'),
    merge: z
      .boolean()
      .default(true)
      .describe(
        'Whether cold neighbours merge by themselves; in plain streams only, never in the change log of a table.',
      ),
    shardsMin: count(1, 'Merges leave at least so many open shards.', 4096),
    shardsMax: count(256, 'Splits make at most so many open shards; log.shardsMax bounds it too.', 4096),
    target: z
      .strictObject({
        recordsPerSecond: rate(50_000, 'Records that one shard should take: a load of 1.'),
        bytesPerSecond: rate(10 * MiB, 'Bytes that one shard should take: a load of 1.'),
        cpu: share(
          0.6,
          'Part of a thread that the source task of one shard should need, in the pipeline that needs most: a load of 1.',
          1,
        ),
        queueMs: ms(50, "Wait at the shard's own limiter: a load of 1."),
      })
      .prefault({})
      .describe('What one shard should carry.'),
    watchAbove: share(0.7, 'Above this load the keys of a shard are sampled; pieces of a split aim at it.', 1),
    splitAbove: share(1, 'A shard splits when its load of 10 s is above this for splitMs.'),
    splitMs: ms(5000, 'How long a load must last.'),
    surgeAbove: share(2, 'A shard splits also when its load of 1 s is above this for surgeMs.'),
    surgeMs: ms(2000, 'How long a surge must last.'),
    ageMs: ms(5000, 'Younger shards do not split.'),
    isolateAbove: share(0.5, 'A key with this load or more gets a shard of its own.', 1),
    mergeBelow: share(0.4, 'Neighbours merge when their loads of 60 s together stay below this for mergeMs.', 1),
    mergeMs: ms(300_000, 'How long neighbours must be cold.'),
    mergeAgeMs: ms(600_000, 'Younger shards do not merge.'),
    mergeEveryMs: ms(60_000, 'Between two merges of a stream.'),
    parkMs: ms(60_000, 'A hot shard that no cut helps is left alone so long; doubles each time.'),
    parkMsMax: ms(900_000, 'The longest of these pauses.'),
    limit: z
      .strictObject({
        recordsPerSecond: rate(0, 'Records that one shard takes; 0 is no limit.', 0),
        bytesPerSecond: rate(0, 'Bytes that one shard takes; 0 is no limit.', 0),
        waitMsMax: ms(1000, 'An append that would wait longer at the limiter is told to retry (TOO_BUSY).', 0),
      })
      .prefault({})
      .describe('A limiter for each shard of a plain stream; off by default.'),
  })
  .refine(({ shardsMin, shardsMax }) => shardsMin <= shardsMax, {
    path: ['shardsMin'],
    message: 'is above shardsMax, so that shards would be merged and split for ever',
  })

/**
 * The one schema: types, checks, defaults, the reference page and the JSON schema for editors come from it. Names end in
 * their unit (`Ms`, `BytesMax`); a bound ends in `Max` or `Min`.
 */
export const configSchema = z.strictObject({
  dataDir: z.string().min(1).default('./millrace-data').describe('The data directory.'),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least level of log lines (JSON on standard error).'),
  durability: z
    .enum(['synced', 'relaxed'])
    .default('synced')
    .describe(
      'synced: an answer means that the data is on the disk. relaxed: a power failure may take back acknowledged writes.',
    ),
  listen: z
    .strictObject({
      host: z
        .string()
        .min(1)
        .default('127.0.0.1')
        .describe('Address to listen on. Anything but loopback needs auth, or listen.insecure.'),
      port: z.int().min(0).max(65_535).default(8000).describe('Port; 0 lets the system choose one, which is printed.'),
      insecure: z
        .boolean()
        .default(false)
        .describe('Allows another address than loopback although nobody is authenticated.'),
      hosts: z
        .array(z.string())
        .default([])
        .describe(
          'Host names beside loopback ones that requests to /v1 may be addressed to (with auth or listen.insecure every IP address is taken too).',
        ),
    })
    .prefault({})
    .describe('Where the daemon listens.'),
  auth: z
    .strictObject({
      keys: z
        .array(
          z.string().regex(keyForm, {
            error: 'must be ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN behind if it has one',
          }),
        )
        .default([])
        .describe(
          'Access keys, each ACCESS_KEY_ID:SECRET_ACCESS_KEY (and :SESSION_TOKEN for temporary ones). The AWS path then wants requests that one of them signed.',
        )
        .meta({ isSecret: true }),
      keysFile: z.string().default('').describe('A file with such keys, one a line.'),
      token: z
        .string()
        .refine((text) => text === '' || tokenForm.test(text), {
          error: 'must be at least 16 characters of ASCII without spaces',
        })
        .default('')
        .describe('What /v1, /metrics and the console want: as a bearer token, or as the password of any user.')
        .meta({ isSecret: true }),
      tokenFile: z.string().default('').describe('A file with that token.'),
      skewMsMax: ms(15 * 60 * 1000, 'How far the time of a signature may be from the time of the daemon.', 1000),
    })
    .prefault({})
    .describe('Who may ask. With any of these set, what has no credentials here is closed to everybody.'),
  cors: z
    .strictObject({
      origins: z
        .array(z.string())
        .default(['*'])
        .describe('Origins that may use the AWS path from a browser; * is any.'),
    })
    .prefault({})
    .describe('Web pages of other origins. /v1 never answers them.'),
  http: z
    .strictObject({
      bodyBytesMax: bytes(16 * MiB, 'Largest body of a request, unpacked.'),
      bodiesBytesMax: bytes(
        256 * MiB,
        'Bodies of all requests that are being read or answered; past it requests are told to retry.',
      ),
      connectionsMax: count(
        4096,
        'Connections that may be open; fewer where the process may open few files (`ulimit -n`), which the log says.',
      ),
      requestTimeoutMs: ms(60_000, 'Time for a request to arrive whole.'),
      pollMsMax: ms(20_000, 'Longest wait of a long poll.', 0),
      exportsMax: count(16, 'Exports that are answered at one time; each holds a few MiB.'),
      exportStalledMsMax: ms(300_000, 'An export of which its client takes nothing for so long is broken off.'),
      stopMsMax: ms(10_000, 'At a stop, connections whose request is not answered by then are cut.', 0),
    })
    .prefault({})
    .describe('The HTTP server.'),
  aws: z
    .strictObject({
      region: z
        .string()
        .regex(regionName)
        .default('us-east-1')
        .describe('Region in resource names; clients check that it is a real one.'),
      accountId: z
        .string()
        .regex(/^\d{12}$/)
        .default('123456789012')
        .describe('Account in resource names: 12 digits.'),
      streamRetentionMs: age(
        dayMs,
        'What an AWS stream shows of the change log below it; one that was switched off, or whose table is gone, can be read as long.',
      ),
    })
    .prefault({})
    .describe('What the AWS protocol shows.'),
  store: z
    .strictObject({
      writeBufferBytes: bytes(64 * MiB, 'Write buffer of RocksDB; two may be in memory.', MiB),
      blockCacheBytes: bytes(64 * MiB, 'Block cache of RocksDB.', 0),
      compression: z
        .boolean()
        .default(true)
        .describe('Whether new table files are compressed: less disk, and more CPU for whatever is read from it.'),
    })
    .prefault({})
    .describe('The embedded store.'),
  commit: z
    .strictObject({
      effectSetBytesMax: bytes(16 * MiB, 'Largest effect set: what one request or one barrier writes.'),
      commitBytesMax: bytes(32 * MiB, 'Effect sets gather in one commit up to this size.'),
      queueBytesMax: bytes(128 * MiB, 'Bytes that may wait for the disk; past it writers are told to retry.'),
      freeBytesMin: bytes(256 * MiB, 'Below this much free space on the disk writes are refused with STORAGE_FULL.', 0),
      rowWaitersMax: count(10_000, 'Writers that may wait for one row.'),
      rowCacheBytesMax: bytes(64 * MiB, 'Rows in memory.', 0),
    })
    .prefault({})
    .describe('The commit path.'),
  log: z
    .strictObject({
      chunkBytesMax: bytes(MiB, 'A chunk goes on in another one above this size.'),
      tailCacheBytesMax: bytes(64 * MiB, 'Newest chunks in memory, for readers at the tail.', 0),
      shardsMax: count(256, 'Open shards that one stream may have.', 4096),
      shardsKeptMax: count(65_536, 'Sealed shards of one stream whose records are not trimmed away yet.'),
      streamsMax: count(1000, 'Streams that there may be, change logs of tables included.'),
    })
    .prefault({})
    .describe('The sharded log.'),
  split: splitSchema
    .prefault({})
    .describe('When shards split and merge by themselves; a stream may have other values.'),
  retention: z
    .strictObject({
      ms: age(7 * dayMs, 'Age past which records of plain streams go, by commit time; 0 keeps them for ever.', 0),
      bytes: bytes(0, 'Size past which the oldest records of a plain stream go; 0 is no bound.', 0),
      heldBytesMax: bytes(
        10 * GiB,
        'What groups that hold (pipelines, bridges, others that ask for it) may keep of a stream past its retention; then it is trimmed in spite of them.',
        0,
      ),
      deletedMs: age(dayMs, 'Longest time that records of a deleted plain stream are kept.', 0),
      everyMs: ms(10_000, 'Time between two looks at what may go.', 10),
      rowsPerCommitMax: count(1000, 'Rows that one commit of a trim deletes.'),
    })
    .prefault({})
    .describe('How long plain streams keep records; each may have a policy of its own.'),
  changeLog: z
    .strictObject({
      retentionMs: age(
        7 * dayMs,
        'Age past which records of change logs of tables go; what an AWS stream shows stays. 0 keeps them for ever.',
        0,
      ),
    })
    .prefault({})
    .describe('Change logs of tables.'),
  tables: z
    .strictObject({
      createMs: ms(0, 'How long a new table is CREATING before it can be used; AWS needs seconds.', 0),
      updateMs: ms(0, 'How long a changed table is UPDATING, in which it takes no other change.', 0),
      deleteMs: ms(0, 'How long a deleted table is still described as DELETING.', 0),
      throttle: z
        .boolean()
        .default(false)
        .describe(
          'Whether requests past the provisioned throughput of a table, or past its maximum on demand, are refused as on AWS.',
        ),
      warmShardsMax: count(
        256,
        'Shards that warm throughput gives a stream at most; log.shardsMax bounds it too.',
        4096,
      ),
      countMs: ms(
        6 * 60 * 60 * 1000,
        'Time between two counts of the items and bytes of a table, which DescribeTable shows.',
        1000,
      ),
      queryCacheBytesMax: bytes(32 * MiB, 'Answers of Query in memory, for partitions that nobody writes to.', 0),
    })
    .prefault({})
    .describe('Tables.'),
  ttl: z
    .strictObject({
      sweepMs: ms(500, 'Time between two looks for items whose time to live is over.', 10),
      rowsAtOnceMax: count(256, 'Items that are deleted side by side, before others are looked for.', 10_000),
      changeMs: ms(
        0,
        'Time that must lie between two changes of the time to live of a table; AWS wants an hour. 0 is none.',
        0,
      ),
    })
    .prefault({})
    .describe('Items that are deleted when their time to live is over.'),
  regions: z
    .record(z.string().regex(regionName, { error: 'is no name of a region, such as eu-west-1' }), regionSchema)
    .default({})
    .describe(
      'Other daemons by the names of their regions, which UpdateTable gives as RegionName; an entry for this one is passed over.',
    ),
  replication: z
    .strictObject({
      listen: z
        .strictObject({
          host: z.string().min(1).default('127.0.0.1').describe('Address to listen on for links of other regions.'),
          enabled: z.boolean().default(false).describe('Whether links of other regions may come in.'),
          port: z
            .int()
            .min(0)
            .max(65_535)
            .default(8400)
            .describe('Port for them; 0 lets the system choose one, which is logged.'),
        })
        .prefault({})
        .describe('Where links of other regions come in.'),
      tls: linkCertificates
        .prefault({})
        .describe('Certificates of this daemon, for links in both directions: each side wants that of the other.'),
      insecure: z
        .boolean()
        .default(false)
        .describe('Allows plain links beyond loopback, which anybody may listen to and write through.'),
      tombstoneRetentionMs: age(
        dayMs,
        'How long a deletion is remembered at least; and until all replicas have it.',
        0,
      ),
      skewMsMax: ms(5 * 60 * 1000, 'A link is held while the clock of its region is ahead by more than this.'),
      batchBytesMax: bytes(512 * KiB, 'Changes that one call of a link carries.', 1024),
      conflictsMax: count(1000, 'Conflicts of one table that are kept.', 100_000),
    })
    .prefault({})
    .describe('Replicas of tables in other regions.'),
  groups: z
    .strictObject({
      groupsMax: count(1000, 'How many there may be, those of pipelines and bridges included.'),
      membersMax: count(256, 'Members that one group may have.', 10_000),
      sessionMs: ms(10_000, 'A member that gives no sign of life for this long has left.', 100),
      releaseMs: ms(5_000, 'Time that a member has to finish with a shard that goes to another; then it is fenced.', 0),
      cursorsMax: count(4096, 'Shards that one request of a member may name.', 65_536),
      pollBytesMax: bytes(4 * MiB, 'Chunks in one answer to a poll.'),
      pollsBytesMax: bytes(256 * MiB, 'Chunks in all answers to polls that are not sent yet; past it polls wait.'),
    })
    .prefault({})
    .describe('Named consumers.'),
  producers: z
    .strictObject({
      producersMax: count(1000, 'Idempotent producers that one stream may have.', 100_000),
      producerIdleMs: ms(
        7 * 24 * 60 * 60 * 1000,
        'A producer that sent nothing for this long is forgotten; it then has to be opened anew.',
      ),
    })
    .prefault({})
    .describe('Producers whose batches are stored once, however often they are sent.'),
  workers: z
    .strictObject({
      threads: count(Math.max(1, availableParallelism() - 1), 'Worker threads for user code.', 256).meta({
        initialText: 'one less than the processors, at least 1',
      }),
      heapBytesMax: bytes(512 * MiB, 'JavaScript heap of one worker thread.', 16 * MiB),
      externalBytesMax: bytes(
        512 * MiB,
        'Memory of one worker thread outside of its heap (Buffers); above it the thread is replaced, and its pipelines go on from their last commits.',
        16 * MiB,
      ),
      rssBytesMax: bytes(
        rssBytesInitial(),
        'Size of the whole process above which the worker thread with the largest memory outside of its heap is ended.',
        64 * MiB,
      ).meta({ initialText: 'three quarters of the memory that the process may use' }),
    })
    .prefault({})
    .describe('Threads that run user code.'),
  kafka: z
    .strictObject({
      brokers: z
        .array(brokerAddress)
        .default([])
        .describe(
          'Brokers, each HOST:PORT, for Kafka sinks and sources of pipelines that name none. Bridges name their own.',
        ),
      clusters: z
        .record(
          z.string().regex(/^(?!__proto__$)[A-Za-z0-9_.-]{1,128}$/, {
            error: 'is no name: letters, digits, dot, underscore and dash, 128 at most',
          }),
          clusterSchema,
        )
        .default({})
        .describe(
          'Clusters by their names, which bridges, sinks and sources give as cluster: with TLS, SASL and another driver.',
        ),
    })
    .prefault({})
    .describe('Kafka.'),
  search: z
    .strictObject({
      indexesMax: count(16, 'Indexes that commands may make; each has a thread of its own.', 256),
      documentsMax: count(
        1_000_000,
        'Items that one index may hold; past it the index gives up and says so.',
        100_000_000,
      ),
      bytesMax: bytes(
        256 * MiB,
        'Text, stored values and keys that one index may hold; its memory is several times that.',
      ),
      heapBytesMax: bytes(GiB, 'JavaScript heap of the thread of one index.', 32 * MiB),
      waitMsMax: ms(5_000, 'Longest time that a search waits for the index to have come as far as it asks for.', 0),
      indexes: z
        .record(
          z.string().regex(/^(?!__proto__$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, {
            error: 'is no name: letters, digits, dot, underscore and dash, 128 at most',
          }),
          z.strictObject({
            table: z.string().min(1).describe('The table; it may be made later.'),
            fields: z
              .array(z.string())
              .min(1)
              .describe(
                'Attributes whose text is searched, or paths with dots into maps; `title^3` counts three times.',
              ),
            store: z.array(z.string()).optional().describe('Attributes that come with a hit; the fields by default.'),
          }),
        )
        .default({})
        .describe('Full-text indexes of tables by their names, beside those that commands make.'),
    })
    .prefault({})
    .describe('Full-text search inside of the daemon.'),
  pipelines: z
    .strictObject({
      pipelinesMax: count(256, 'How many there may be.', 10_000),
      barrierMs: ms(
        20,
        'Longest pause between two commits of a pipeline that keeps up; it pauses half as long as its last commit took.',
        0,
      ),
      backlogBarrierMs: ms(
        500,
        'Pause between two commits of a pipeline with a backlog; it commits earlier when it has read as much as it may (epochBytesMax). Up to four times as long while a backlog lasts and its commits are small.',
        0,
      ),
      barrierTimeoutMs: ms(
        60_000,
        'A barrier older than this fails its pipeline and names the task it waits for. Above stepTimeoutMs.',
      ),
      stepTimeoutMs: ms(10_000, 'Longest time that user code may hold its thread for one record.'),
      attemptsMax: count(
        3,
        'Attempts after which a record is parked, or a pipeline stopped as failed where no record is to blame.',
        1000,
      ),
      onError: z
        .enum(['park', 'stop'])
        .default('park')
        .describe(
          'What becomes of a record that its step cannot take: it is parked and the others go on, or its pipeline stops as failed.',
        ),
      parkedMax: count(10_000, 'Records parked in one pipeline; at the bound its sources wait.'),
      parkedBytesMax: bytes(64 * MiB, 'Bytes of the records parked in one pipeline; at the bound its sources wait.'),
      retryMs: ms(200, 'Wait before the second attempt; doubles with each.'),
      handoverBytes: bytes(256 * KiB, 'Records handed to a worker at once.'),
      handoversInFlightMax: count(3, 'Handovers to one task that are not answered yet.', 64),
      epochBytesMax: bytes(
        128 * MiB,
        'Most that is read between two barriers, to within a handover of each shard; past it the sources wait. A quarter of it at first, and all of it while a backlog lasts and its commits are small.',
      ),
      stateBytesMax: bytes(
        64 * MiB,
        'State of one pipeline in a worker; past it clean cells are dropped and read again.',
      ),
      outboxBytesMax: bytes(
        GiB,
        'Results of one sink that wait to be delivered outside; past it the sources of the pipeline wait.',
      ),
      swapBehindMax: count(
        100_000,
        'Sequence numbers by which a shadow may be behind its pipeline when they are swapped.',
      ),
      moduleBytesMax: bytes(8 * MiB, 'Largest bundle of a user module.'),
      filesOutside: z
        .boolean()
        .default(false)
        .describe('Lets file sinks write outside of the files folder of the data directory.'),
    })
    .prefault({})
    .describe('How pipelines run.'),
  functions: z
    .record(
      z.string().regex(functionNameForm, { error: 'is no name: letters, digits, dash and underscore, 64 at most' }),
      functionSchema,
    )
    .default({})
    .describe('Functions by their names: handlers as Lambda runs them. Their code is read again at each start.'),
  functionHost: z
    .strictObject({
      functionsMax: count(256, 'Functions that there may be.', 10_000),
      threadsMax: count(32, 'Threads of all functions together; idle ones of others make room.', 1024),
      idleMs: ms(300_000, 'A thread that was not called for so long is ended.', 100),
      initMsMax: ms(10_000, 'Time that a module may take to load, which is not counted as a call.', 100),
      codeBytesMax: bytes(64 * MiB, 'Code of one function, all of its files together.'),
      codeFilesMax: count(20_000, 'Files of one function.'),
      mappingBufferBytesMax: bytes(
        256 * MiB,
        'Events of records that all event source mappings together read ahead; past it batches go before they are full.',
        MiB,
      ),
      logBytesMax: bytes(8 * MiB, 'Log of one function; the older half goes when it is full.', 64 * KiB),
      waitingCallsMax: count(
        10_000,
        'Calls of all functions that nobody waits for (Event) and that have not ended.',
        1_000_000,
      ),
      waitingBytesMax: bytes(256 * MiB, 'Events of these calls, which lie in the store.'),
      modulePaths: z
        .array(z.string())
        .default([])
        .describe(
          'Folders of modules (such as node_modules) in which a function finds what lies neither in its code nor beside it.',
        ),
    })
    .prefault({})
    .describe('How functions run.'),
})

export type Config = z.output<typeof configSchema>
/** The policy of splitting that is in force for a stream. */
export type SplitPolicy = z.output<typeof splitSchema>
export type ConfigInput = z.input<typeof configSchema>
