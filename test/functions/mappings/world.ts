import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Commit, Counters } from '../../../src/commit/index.js'
import {
  type FunctionAnswer,
  type FunctionInvoker,
  type MappingDescription,
  Mappings,
  type MappingsOptions,
} from '../../../src/functions/index.js'
import { DurableGroups } from '../../../src/groups/index.js'
import { ShardedLog } from '../../../src/log/index.js'
import { type Clock, MillraceError, silentLogger } from '../../../src/runtime/index.js'
import type { KafkaTopic } from '../../../src/sinks/index.js'
import { Tables } from '../../../src/tables/index.js'
import { open } from '../../commit/open-memory.js'
import { logLimits } from '../../log/open-log.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'

export interface EventRecordShape {
  readonly eventID: string
  readonly eventName: string
  readonly eventSourceARN: string
  readonly userIdentity?: object
  readonly dynamodb: {
    readonly Keys: Record<string, Record<string, string>>
    readonly NewImage?: Record<string, unknown>
    readonly OldImage?: Record<string, unknown>
    readonly SequenceNumber: string
    readonly SizeBytes: number
    readonly StreamViewType: string
    readonly ApproximateCreationDateTime: number
  }
}

/** The event as a handler sees it. */
export interface EventShape {
  readonly Records: readonly EventRecordShape[]
  readonly window?: { readonly start: string; readonly end: string }
  readonly state?: Record<string, unknown>
  readonly shardId?: string
  readonly isFinalInvokeForWindow?: boolean
  readonly isWindowTerminatedEarly?: boolean
}

/** Throws to fail, or gives what the function answers. */
export type Handler = (event: EventShape) => unknown

/** Functions that a test plays: each call is noted, and answered by the handler, as often at a time as there are threads. */
export class TestInvoker implements FunctionInvoker {
  readonly handlers = new Map<string, Handler>()
  readonly events: EventShape[] = []
  threads = 4
  running = 0
  mostRunning = 0

  has(name: string): boolean {
    return this.handlers.has(name)
  }

  free(name: string): number {
    return this.has(name) ? this.threads - this.running : 0
  }

  async invoke({ functionName, payload }: { functionName: string; payload: Uint8Array }): Promise<FunctionAnswer> {
    const handler = this.handlers.get(functionName)
    if (!handler) throw new MillraceError('FUNCTION_NOT_FOUND', `There is no function ${functionName}.`)
    if (this.running >= this.threads) throw new MillraceError('FUNCTION_BUSY', 'All threads are taken.')
    this.running++
    this.mostRunning = Math.max(this.mostRunning, this.running)
    const event = JSON.parse(Buffer.from(payload).toString()) as EventShape
    this.events.push(event)
    const about = { requestId: `request-${this.events.length}`, durationMs: 1, logTail: '' }
    try {
      const result = await handler(event)
      return { ...about, payload: JSON.stringify(result ?? null) }
    } catch (error) {
      if (error instanceof MillraceError) throw error
      return { ...about, payload: '{"errorType":"Error"}', functionError: 'Unhandled' }
    } finally {
      this.running--
    }
  }
}

export const account = '123456789012'

/** The rooms that mappings stand on, over a store in memory and in virtual time: what a restart finds is what was committed. */
export class World {
  readonly storage = new MemoryStorage()
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  readonly clock = new ManualClock()
  readonly invoker = new TestInvoker()
  readonly sent: { topic: string; value: string }[] = []
  /** What the configuration calls this region, from the next start on. */
  region = 'here-1'
  /** Whether Kafka is away. */
  refuses = (): boolean => false
  options: Partial<MappingsOptions> = {}
  commit!: Commit
  log!: ShardedLog
  groups!: DurableGroups
  tables!: Tables
  mappings!: Mappings
  #life = { isKilled: false }

  static async open(options: Partial<MappingsOptions> = {}): Promise<World> {
    const world = new World()
    world.options = options
    await world.start()
    return world
  }

  async start(): Promise<void> {
    const { storage, invoker, folder } = this
    const life = { isKilled: false }
    this.#life = life
    const clock: Clock = {
      now: () => this.clock.now(),
      monotonic: () => this.clock.monotonic(),
      setTimeout: (run, ms) => this.clock.setTimeout(() => life.isKilled || run(), ms),
    }
    const { commit } = await open(storage, folder, { clock })
    const submit = commit.submit.bind(commit)
    commit.submit = (effects) => (life.isKilled ? new Promise(() => {}) : submit(effects))
    const counters = await Counters.open(storage)
    const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
    const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: 100 })
    const names = {
      region: this.region,
      accountId: account,
      eventIdPrefix: () => 'e'.repeat(16),
      streamRetentionMs: 86_400_000,
    }
    const tables = await Tables.open({ storage, commit, counters, log, clock, logger: silentLogger, ...names })
    Object.assign(this, { commit, log, groups, tables })
    this.mappings = await Mappings.open({
      ...names,
      storage,
      commit,
      log,
      groups,
      tables,
      clock,
      logger: silentLogger,
      random: () => 1,
      eventIdOf: (sequence) => `e${sequence}`,
      functions: invoker,
      invoker: {
        free: (name) => invoker.free(name),
        invoke: (call) => (life.isKilled ? new Promise(() => {}) : invoker.invoke(call)),
      },
      kafka: {
        brokers: ['here:9092'],
        clusters: [],
        isOfContent: () => false,
        open: ({ topic }) => this.#topic(topic),
      },
      filesFolder: join(folder, 'files'),
      filesOutside: false,
      bufferBytesMax: 64 * 1024 * 1024,
      ...this.options,
    })
    this.mappings.start()
  }

  #topic(topic: string): KafkaTopic {
    return {
      send: async (messages) => {
        if (this.refuses()) throw new MillraceError('UNREACHABLE', 'Kafka is away.')
        for (const { value } of messages) this.sent.push({ topic, value: String(value) })
      },
      discard: () => {},
      close: async () => {},
    }
  }

  async close(): Promise<void> {
    const closed = this.mappings.close()
    await this.settle()
    this.clock.advance(10_000)
    await closed
    await this.tables.close()
    await this.commit.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A kill and a start: nothing of the older life is answered, and nothing that it asks for comes to pass. */
  async kill(): Promise<void> {
    this.#life.isKilled = true
    await this.settle()
    await this.start()
  }

  async run<Body = Record<string, unknown>>(
    operation: string,
    input: unknown,
    service = 'DynamoDB_20120810',
  ): Promise<Body> {
    const answer = await this.tables.execute(service, operation, Buffer.from(JSON.stringify(input)))
    return JSON.parse(answer.toString()) as Body
  }

  /** A table with `pk` (S) and `sk` (S), and a stream. Returns the stream's ARN. */
  async table(TableName = 'todo', StreamViewType = 'NEW_AND_OLD_IMAGES'): Promise<string> {
    const { TableDescription } = await this.run<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', {
      TableName,
      AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType },
    })
    return TableDescription.LatestStreamArn
  }

  async put(pk: string, sk = 'a', more: Record<string, unknown> = {}, TableName = 'todo'): Promise<void> {
    await this.run('PutItem', { TableName, Item: { pk: { S: pk }, sk: { S: sk }, ...more } })
  }

  /** A mapping from a stream to a function whose handler is given. */
  async mapping(arn: string, handler: Handler, more: Record<string, unknown> = {}): Promise<MappingDescription> {
    this.invoker.handlers.set('count', handler)
    return this.mappings.create({
      EventSourceArn: arn,
      FunctionName: 'count',
      StartingPosition: 'TRIM_HORIZON',
      ...more,
    })
  }

  /** Until everything that was begun has gone as far as it can without time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 30; i++) await new Promise<void>((resolve) => setImmediate(resolve))
  }

  /** Time passes, step by step, and what it brings is done. */
  async pass(ms: number, stepMs = ms): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs))
      await this.settle()
    }
  }

  description(id: string): MappingDescription {
    return this.mappings.describe(this.mappings.get(id))
  }

  /** The keys of the records of each call. */
  get calls(): string[][] {
    return this.invoker.events.map(({ Records }) => Records.map(({ dynamodb }) => dynamodb.Keys.pk?.S as string))
  }
}
