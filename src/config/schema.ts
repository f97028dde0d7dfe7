import { availableParallelism } from 'node:os'
import { z } from 'zod'

const KiB = 1024
const MiB = 1024 * KiB

const count = (initial: number, description: string, max = 1_000_000) =>
  z.int().min(1).max(max).default(initial).describe(description)
/** `min` is what the part works with at all; a cache may be nothing. */
const bytes = (initial: number, description: string, min = KiB) =>
  z.int().min(min).max(Number.MAX_SAFE_INTEGER).default(initial).describe(description)
/** A longer timer than Node's longest would fire at once. */
const timerMsMax = 2 ** 31 - 1
const ms = (initial: number, description: string, min = 1) =>
  z.int().min(min).max(timerMsMax).default(initial).describe(description)

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
        .describe('Address to listen on. Anything but loopback needs listen.insecure.'),
      port: z.int().min(0).max(65_535).default(8000).describe('Port; 0 lets the system choose one, which is printed.'),
      insecure: z
        .boolean()
        .default(false)
        .describe('Allows another address than loopback although nobody is authenticated.'),
      hosts: z
        .array(z.string())
        .default([])
        .describe(
          'Host names beside loopback ones that requests to /v1 may be addressed to (with listen.insecure every IP address is taken too).',
        ),
    })
    .prefault({})
    .describe('Where the daemon listens.'),
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
      connectionsMax: count(4096, 'Connections that may be open.'),
      requestTimeoutMs: ms(60_000, 'Time for a request to arrive whole.'),
      pollMsMax: ms(20_000, 'Longest wait of a long poll.', 0),
      stopMsMax: ms(10_000, 'At a stop, connections whose request is not answered by then are cut.', 0),
    })
    .prefault({})
    .describe('The HTTP server.'),
  aws: z
    .strictObject({
      region: z
        .string()
        .regex(/^[a-z]{2}(-[a-z]+)+-\d$/)
        .default('us-east-1')
        .describe('Region in resource names; clients check that it is a real one.'),
      accountId: z
        .string()
        .regex(/^\d{12}$/)
        .default('000000000000')
        .describe('Account in resource names: 12 digits.'),
    })
    .prefault({})
    .describe('What the AWS protocol shows.'),
  store: z
    .strictObject({
      writeBufferBytes: bytes(64 * MiB, 'Write buffer of RocksDB; two may be in memory.', MiB),
      blockCacheBytes: bytes(64 * MiB, 'Block cache of RocksDB.', 0),
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
  groups: z
    .strictObject({ groupsMax: count(1000, 'How many there may be, those of pipelines and bridges included.') })
    .prefault({})
    .describe('Named consumers.'),
  workers: z
    .strictObject({
      threads: count(Math.max(1, availableParallelism() - 1), 'Worker threads for user code.', 256).meta({
        initialText: 'one less than the processors, at least 1',
      }),
      heapBytesMax: bytes(512 * MiB, 'JavaScript heap of one worker thread.', 16 * MiB),
    })
    .prefault({})
    .describe('Threads that run user code.'),
  pipelines: z
    .strictObject({
      pipelinesMax: count(256, 'How many there may be.', 10_000),
      barrierMs: ms(20, 'A pipeline commits at least this often while it has something to commit.', 0),
      barrierTimeoutMs: ms(
        60_000,
        'A barrier older than this fails its pipeline and names the task it waits for. Above stepTimeoutMs.',
      ),
      stepTimeoutMs: ms(10_000, 'Longest time that user code may hold its thread for one record.'),
      attemptsMax: count(3, 'Failed attempts after which a pipeline is stopped as failed.', 1000),
      retryMs: ms(200, 'Wait before the second attempt; doubles with each.'),
      handoverBytes: bytes(256 * KiB, 'Records handed to a worker at once.'),
      handoversInFlightMax: count(3, 'Handovers to one task that are not answered yet.', 64),
      epochBytesMax: bytes(32 * MiB, 'Records read since the last barrier; past it the sources wait.'),
      stateBytesMax: bytes(
        64 * MiB,
        'State of one pipeline in a worker; past it clean cells are dropped and read again.',
      ),
      moduleBytesMax: bytes(8 * MiB, 'Largest bundle of a user module.'),
      filesOutside: z
        .boolean()
        .default(false)
        .describe('Lets file sinks write outside of the files folder of the data directory.'),
    })
    .prefault({})
    .describe('How pipelines run.'),
})

export type Config = z.output<typeof configSchema>
export type ConfigInput = z.input<typeof configSchema>
