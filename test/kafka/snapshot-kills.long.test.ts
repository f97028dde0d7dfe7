import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { Random } from '../simulation/random.js'
import { type Broker, kafkaAvailable, startBroker } from './broker.mjs'
import { readTopic } from './read-topic.js'

// A real daemon and a real broker, both killed while a bridge delivers the snapshot of a table that is written.
const here = kafkaAvailable()

describe.skipIf(!here)('a snapshot into a real broker, with a converter and a schema', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  const random = new Random(11)
  const expected = new Map<string, number>()
  let broker: Broker
  let daemon: DaemonProcess

  const start = async () => {
    daemon = await DaemonProcess.start({
      data: join(folder, 'data'),
      env: { MILLRACE_WORKERS_THREADS: '2', MILLRACE_LOG_LEVEL: 'silent' },
    })
  }

  beforeAll(async () => {
    ensureBuilt()
    broker = await startBroker()
    await start()
  })
  afterAll(async () => {
    expect(await daemon?.stop()).toBe(0)
    await broker?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function write(count: number): Promise<void> {
    const writes = new Map<string, object>()
    for (let i = 0; i < count; i++) {
      const id = `item-${random.below(4000)}`
      const n = random.below(1_000_000)
      if (random.chance(0.2)) {
        writes.set(id, { DeleteRequest: { Key: { id: { S: id } } } })
        expected.delete(id)
      } else {
        writes.set(id, { PutRequest: { Item: { id: { S: id }, n: { N: String(n) } } } })
        expected.set(id, n)
      }
    }
    const all = [...writes.values()]
    for (let from = 0; from < all.length; from += 25)
      await daemon.aws('BatchWriteItem', { RequestItems: { todo: all.slice(from, from + 25) } })
  }

  const bridge = () =>
    daemon.v1<{
      state: { kind: string; error?: { message: string } }
      snapshot: string
      statistics: { lagRecords: number }
    }>('GET', 'bridges/todo')

  it('is the table for who reads what is committed: each item read once, each change once', async () => {
    await daemon.aws('CreateTable', {
      TableName: 'todo',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    await write(6000)
    const file = join(folder, 'converter.ts')
    writeFileSync(
      file,
      `export const key = ({ value }) => (value.after ?? value.before).id.S
       export const value = ({ value, op }) => ({ op, n: value.after ? Number(value.after.n.N) : null })`,
    )
    await daemon.v1('POST', 'bridges', {
      name: 'todo',
      source: 'table:todo',
      brokers: broker.address,
      partitions: 3,
      snapshot: true,
      converter: await bundleModule(file),
      schema: {
        $id: 'urn:example:todo',
        type: 'object',
        properties: { op: { enum: ['c', 'u', 'd', 'r'] }, n: { type: ['integer', 'null'] } },
        required: ['op', 'n'],
      },
    })
    for (let round = 0; round < 8; round++) {
      await write(random.below(200))
      if (round === 2 || round === 5) await broker.kill()
      await daemon.kill()
      if (round === 2 || round === 5) await broker.start()
      await start()
    }
    await write(100)
    const wanted = { snapshot: 'done', state: { kind: 'running' }, statistics: { lagRecords: 0 } }
    await expect.poll(bridge, { timeout: 120_000 }).toMatchObject(wanted)

    const found = new Map<string, number>()
    const reads = new Map<string, number>()
    const seen = new Set<string>()
    for (const { key, value, headers } of await readTopic(broker.address, 'millrace.todo')) {
      expect(headers['millrace-schema']).toBe(value === null ? undefined : 'urn:example:todo')
      const id = `${headers['millrace-event-id']} ${value === null}`
      expect(seen.has(id), `${id} comes once`).toBe(false)
      seen.add(id)
      const { op, n } = value === null ? { op: 'd', n: null } : (JSON.parse(value) as { op: string; n: number | null })
      if (op === 'r') reads.set(key, (reads.get(key) ?? 0) + 1)
      if (n === null) found.delete(key)
      else found.set(key, n)
    }
    expect(found).toEqual(expected)
    for (const [key, count] of reads) expect(count, key).toBe(1)
  })
})
