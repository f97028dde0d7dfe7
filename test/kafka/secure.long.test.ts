import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configSchema } from '../../src/config/index.js'
import { Clusters, kafkaDrivers } from '../../src/kafka/index.js'
import { systemClock } from '../../src/runtime/index.js'
import { kafkaAvailable } from './broker.mjs'
import { silent } from './memory.js'
import { kafkaAt, readTopic } from './read-topic.js'
import { passwords, type SecureBroker, startSecureBroker, user } from './secure-broker.js'

const sessionMs = 12_000

describe.skipIf(!kafkaAvailable())('a broker whose sessions end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  let at: SecureBroker
  beforeAll(async () => {
    at = await startSecureBroker(folder, sessionMs)
  })
  afterAll(async () => {
    await at?.broker.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test.each(kafkaDrivers)('a producer of %s authenticates again before, and loses nothing', async (driver) => {
    const admin = kafkaAt(at.broker.address).admin()
    await admin.connect()
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic: driver, numPartitions: 1 }] })
    await admin.disconnect()
    const { kafka } = configSchema.parse({
      kafka: {
        clusters: {
          main: {
            brokers: [at.secure],
            tls: { enabled: true, caFile: at.file('ca') },
            sasl: { mechanism: 'scram-sha-256', username: user, password: passwords['scram-sha-256'] },
          },
        },
      },
    })
    const clusters = new Clusters(kafka.clusters, systemClock, silent)
    const cluster = clusters.open({ cluster: 'main', driver, brokers: [], clientId: 'test', logger: silent })
    const producer = await cluster.connectTransactionalProducer(driver)
    const values: string[] = []
    for (const until = Date.now() + 2.5 * sessionMs; Date.now() < until; await sleep(500)) {
      const value = String(values.length)
      await producer.begin()
      const message = {
        key: Buffer.from('k'),
        value: Buffer.from(value),
        partition: 0,
        timestamp: Date.now(),
        headers: {},
      }
      await producer.send(driver, [message], 'none')
      await producer.commit()
      values.push(value)
    }
    await producer.close()
    expect((await readTopic(at.broker.address, driver)).map(({ value }) => value)).toEqual(values)
  })
})
