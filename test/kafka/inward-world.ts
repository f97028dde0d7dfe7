import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type kafkajs from 'kafkajs'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { type Broker, startBroker } from './broker.mjs'
import { kafkaAt } from './read-topic.js'

/** A broker that is killed takes ten seconds to come back, and each kill of the daemon two. */
export const isLong = process.env.MILLRACE_LONG !== undefined

export interface Shown {
  readonly key: string
  readonly value?: unknown
  readonly bytes?: string
  readonly time: number
  readonly sequence: number
}

/** A broker and a daemon, which the tests of what comes in from Kafka share. */
export class InwardWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  broker!: Broker
  daemon!: DaemonProcess
  admin!: kafkajs.Admin
  producer!: kafkajs.Producer
  #modules = 0

  async open(): Promise<void> {
    ensureBuilt()
    this.broker = await startBroker()
    const kafka = kafkaAt(this.broker.address)
    this.admin = kafka.admin()
    this.producer = kafka.producer({ allowAutoTopicCreation: false })
    await Promise.all([this.admin.connect(), this.producer.connect(), this.start()])
  }

  async start(env: Record<string, string> = {}): Promise<void> {
    this.daemon = await DaemonProcess.start({
      data: join(this.folder, 'data'),
      env: {
        MILLRACE_WORKERS_THREADS: '1',
        MILLRACE_KAFKA_BROKERS: this.broker.address,
        MILLRACE_LOG_LEVEL: 'silent',
        ...env,
      },
    })
  }

  /** Kills the daemon, has it start and die at a place, and starts it again. */
  async killAt(point: string, meanwhile: () => Promise<unknown>): Promise<void> {
    await this.daemon.kill()
    await meanwhile()
    await this.start({ MILLRACE_TEST_KILL_AT: point })
    await this.daemon.exited
    await this.start()
  }

  /** Gives the exit code of the daemon. */
  async close(): Promise<number | null> {
    const code = await this.daemon?.stop()
    await Promise.all([this.admin?.disconnect(), this.producer?.disconnect()])
    await this.broker?.close()
    rmSync(this.folder, { recursive: true, force: true })
    return code
  }

  newTopic(topic: string, numPartitions = 2) {
    return this.admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions }] })
  }

  createBridge(request: object) {
    return this.daemon.v1('POST', 'bridges', { brokers: this.broker.address, ...request })
  }

  /** A table whose key attributes are given with their types, `{ id: 'S' }`. */
  newTable(TableName: string, key: Readonly<Record<string, string>>) {
    const names = Object.keys(key)
    return this.daemon.aws('CreateTable', {
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: names.map((name) => ({ AttributeName: name, AttributeType: key[name] })),
      KeySchema: names.map((name, i) => ({ AttributeName: name, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
    })
  }

  /** A module of a pipeline. */
  bundle(source: string): Promise<string> {
    const path = join(this.folder, `module-${this.#modules++}.ts`)
    writeFileSync(path, `import { kafka, pipeline, stream, table } from 'millrace'\n${source}`)
    return bundleModule(path)
  }

  /** All records of a stream. */
  async records(stream: string): Promise<Shown[]> {
    const all: Shown[] = []
    const { shards } = await this.daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${stream}/shards`)
    for (const { id } of shards) {
      let from = ''
      for (;;) {
        const page = await this.daemon.v1<{ records: Shown[]; next: number }>(
          'GET',
          `streams/${stream}/records?shard=${id}&limit=10000${from}`,
        )
        all.push(...page.records)
        if (page.records.length === 0) break
        from = `&from=${page.next}`
      }
    }
    return all
  }
}
