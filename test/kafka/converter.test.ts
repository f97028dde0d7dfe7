import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { guarantees, partitionOf } from '../../src/kafka/index.js'
import type { Sequence } from '../../src/log/index.js'
import { bundleModule, WorkerPool } from '../../src/workers/index.js'
import { ensureBuilt } from '../built.js'
import { tooLarge } from './fake-cluster.js'
import { StoreWorld } from './store-world.js'

const logger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
const MiB = 2 ** 20
const limits = {
  threads: 1,
  heapBytesMax: 128 * MiB,
  externalBytesMax: 512 * MiB,
  rssBytesMax: 1e12,
  // For what hangs: a machine that is busy makes nothing else so slow.
  stepTimeoutMs: 3_000,
}

let workers: WorkerPool
let world: StoreWorld
let modules = 0
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))

beforeAll(() => {
  ensureBuilt()
  workers = new WorkerPool({ ...limits, logger } as never)
})
afterEach(async () => {
  await world.close()
})
afterAll(async () => {
  await workers.close()
  rmSync(folder, { recursive: true, force: true })
})

async function bundle(source: string): Promise<string> {
  const file = join(folder, `converter-${modules++}.ts`)
  writeFileSync(file, source)
  return bundleModule(file)
}

async function opened(): Promise<void> {
  world = await StoreWorld.open({ workers })
  await world.stream()
}

const sent = () => world.messages().map(({ key, value }) => [String(key), value && String(value)])

describe('a converter', () => {
  test('makes keys, values and headers; what it leaves out counts as delivered', async () => {
    await opened()
    await world.append(9)
    await world.create({
      format: 'image',
      headers: { tenant: 'blue' },
      converter: await bundle(`
        import type { BridgeMessage } from 'millrace'
        export const key = ({ value }: BridgeMessage<number>) => 'n' + (value % 2)
        export const value = ({ value, key, op }: BridgeMessage<number>) => value === 4 ? undefined : value === 5 ? null : { value, key, op }
        export const headers = ({ value, shard }: BridgeMessage<number>) => ({ even: String(value % 2 === 0), shard: String(shard) })`),
    })
    await world.caughtUp()
    expect(sent()).toEqual(
      [0, 1, 2, 3, 5, 6, 7, 8].map((value) => [
        `n${value % 2}`,
        value === 5 ? null : JSON.stringify({ value, key: `key-${value % 7}`, op: 'c' }),
      ]),
    )
    for (const { key, partition } of world.messages()) expect(partition).toBe(partitionOf(key, 8))
    expect(world.messages()[0]?.headers).toMatchObject({ tenant: 'blue', even: 'true', shard: '1', 'millrace-op': 'c' })
    expect((await world.shown()).statistics).toMatchObject({ records: 9, lagRecords: 0 })
    expect((await world.shown()).converter?.hash).toMatch(/^[0-9a-f]{64}$/)
    expect(JSON.stringify(await world.shown())).not.toContain('export')
    // It is there after a restart.
    await world.restart()
    await world.append(1)
    await world.caughtUp()
    expect(sent().at(-1)?.[0]).toBe('n1')
  })

  test('a tombstone has the key of its delete', async () => {
    world = await StoreWorld.open({ workers })
    await world.table()
    const converter = await bundle(`
      export default { key: ({ value }) => (value.after ?? value.before).n.N, value: ({ op, value }) => op + (value.after ? '' : '!') }`)
    await world.create({ source: 'table:todo', converter })
    await world.put('a', 17)
    await world.remove('a')
    await world.caughtUp()
    expect(world.messages('millrace.todo').map(({ key, value }) => [String(key), value && String(value)])).toEqual([
      ['17', 'c'],
      ['17', 'd!'],
      ['17', null],
    ])
  })

  const failing = `export const value = ({ value }) => { if (value === 23) throw new Error('no ' + value); return value }`

  test('that throws stops the bridge at that record, behind all before it; a better one goes on', async () => {
    await opened()
    await world.append(40)
    await world.create({ format: 'image', converter: await bundle(failing) })
    const error = await world.state('failed')
    expect(error).toMatchObject({ code: 'CONVERTER_FAILED', message: expect.stringContaining('no 23') })
    expect(sent().map(([, value]) => Number(value))).toEqual(Array.from({ length: 23 }, (_, i) => i))
    expect((await world.shown()).statistics.lagRecords).toBe(17)
    await world.bridges.convert('test', { converter: await bundle(failing.replace('23', '-1')) })
    await world.caughtUp()
    expect(sent().map(([, value]) => Number(value))).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  test('that throws, hangs or makes what no schema knows puts these records aside where the bridge is told so', async () => {
    await opened()
    await world.append(30)
    const converter = await bundle(`
      export const value = ({ value }) => {
        while (value === 7) {}
        if (value % 10 === 3) throw new Error('no ' + value)
        return value
      }`)
    const schema = { $id: 'urn:example:small', type: 'number', maximum: 27 }
    await world.create({ format: 'image', refused: 'dead-letter', converter, schema })
    await world.caughtUp()
    const aside = [3, 7, 13, 23, 28, 29]
    expect(sent().map(([, value]) => Number(value))).toEqual(
      Array.from({ length: 30 }, (_, i) => i).filter((i) => !aside.includes(i)),
    )
    const letters = await world.bodies('test.dead-letters')
    expect(letters.map(({ value }) => Number(value)).sort((a, b) => a - b)).toEqual(aside)
    expect(letters.find(({ value }) => value === '13')).toMatchObject({ error: expect.stringContaining('no 13') })
    expect(letters.find(({ value }) => value === '28')).toMatchObject({ error: expect.stringContaining('schema') })
    expect((await world.shown()).statistics).toMatchObject({ deadLetters: 6, lagRecords: 0 })
  })

  test.each(guarantees)(
    'that makes much of little is asked in pieces, and sends them in several requests, %s',
    async (guarantee) => {
      await opened()
      await world.append(150)
      const limit = 1_000_000
      world.cluster.onSend = (messages) => {
        const bytes = new Map<number, number>()
        for (const { partition, value } of messages)
          bytes.set(partition, (bytes.get(partition) ?? 0) + (value?.length ?? 0))
        return Math.max(0, ...bytes.values()) > limit ? { error: tooLarge(), stored: 0 } : undefined
      }
      const source = `
      export const key = () => 'one'
      export const value = ({ value }) => {
        if (value === 100) throw new Error('no 100')
        return value % 7 === 3 ? undefined : value + 'x'.repeat(value === 37 ? ${limit} : 90_000)
      }`
      await world.create({ format: 'image', guarantee, refused: 'dead-letter', converter: await bundle(source) })
      await world.caughtUp()
      const expected = Array.from({ length: 150 }, (_, i) => i).filter((i) => i % 7 !== 3 && i !== 37 && i !== 100)
      const numbers = () => sent().map(([, value]) => Number.parseInt(value as string, 10))
      expect(numbers()).toEqual(expected)
      const letters = await world.bodies('test.dead-letters')
      expect(letters.map(({ value }) => Number.parseInt(String(value), 10)).sort((a, b) => a - b)).toEqual([37, 100])
      expect((await world.shown()).statistics).toMatchObject({ records: 150, deadLetters: 2, lagRecords: 0 })
    },
  )

  test('that makes much of little and throws has everything before that record delivered', async () => {
    await opened()
    await world.append(150)
    const converter = (not: number) =>
      bundle(
        `export const value = ({ value }) => { if (value === ${not}) throw new Error(); return value + 'x'.repeat(90_000) }`,
      )
    await world.create({ format: 'image', converter: await converter(100) })
    expect(await world.state('failed')).toMatchObject({ code: 'CONVERTER_FAILED' })
    const numbers = () => sent().map(([, value]) => Number.parseInt(value as string, 10))
    expect(numbers()).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect((await world.shown()).statistics.lagRecords).toBe(50)
    await world.bridges.convert('test', { converter: await converter(-1) })
    await world.caughtUp()
    expect(numbers()).toEqual(Array.from({ length: 150 }, (_, i) => i))
  })

  test('or the record is passed over by a seek', async () => {
    await opened()
    await world.append(30)
    await world.create({ format: 'image', converter: await bundle(failing) })
    const error = await world.state('failed')
    await world.bridges.seek('test', { sequence: ((error?.details.sequence as number) + 1) as Sequence })
    await world.caughtUp()
    expect(sent().map(([, value]) => Number(value))).toEqual(
      Array.from({ length: 30 }, (_, i) => i).filter((i) => i !== 23),
    )
  })

  test('that never ends stops its bridge, and no other', async () => {
    await opened()
    await world.append(10)
    const converter = await bundle(`export const value = ({ value }) => { while (value === 7) {} return value }`)
    await world.create({ format: 'image', converter })
    await world.create({
      name: 'fine',
      topic: 'fine',
      format: 'image',
      converter: await bundle('export const value = ({ value }) => value'),
    })
    expect(await world.state('failed')).toMatchObject({
      code: 'CONVERTER_FAILED',
      message: expect.stringContaining('stepTimeoutMs'),
      details: { sequence: expect.any(Number) },
    })
    expect(sent()).toHaveLength(7)
    await world.append(5)
    await world.caughtUp('fine')
    expect(world.messages('fine')).toHaveLength(15)
  })

  test('that is none is refused to who gives it', async () => {
    await opened()
    const create = async (source: string) => world.create({ converter: await bundle(source) })
    await expect(create('export const values = () => 1')).rejects.toMatchObject({
      code: 'MODULE_INVALID',
      message: expect.stringContaining('none of the functions'),
    })
    await expect(create('export const key = 1')).rejects.toMatchObject({ code: 'MODULE_INVALID' })
    await expect(create('throw new Error("at once")')).rejects.toMatchObject({
      message: expect.stringContaining('at once'),
    })
    await expect(create('for (;;) {}')).rejects.toMatchObject({
      code: 'MODULE_INVALID',
      message: expect.stringContaining('stepTimeoutMs'),
    })
    await expect(world.create({ converter: 5 })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(world.create({ converter: `//${'x'.repeat(2 * MiB)}` })).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(world.bridges.list()).toEqual([])
  })

  test('gives its results at once, as text, bytes or JSON', async () => {
    await opened()
    await world.append(1)
    await world.create({ converter: await bundle('export const value = async () => 1') })
    expect(await world.state('failed')).toMatchObject({ message: expect.stringContaining('a promise') })
    for (const [source, why] of [
      ["async () => ({ kind: 'change' })", 'headers are a promise'],
      ["() => 'kind'", 'no object'],
      ["() => ['kind']", 'no object'],
      ['() => {}', 'no object'],
      ['() => ({ kind: 1 })', 'kind is no text'],
    ] as const) {
      await world.bridges.convert('test', { converter: await bundle(`export const headers = ${source}`) })
      expect(await world.state('failed')).toMatchObject({ message: expect.stringContaining(why) })
    }
  })
})

describe('a schema', () => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://example.com/click.json',
    type: 'object',
    properties: { n: { type: 'integer', maximum: 12 } },
    required: ['n'],
  }

  test('names itself in each message, and a value that is not so stops the bridge', async () => {
    await opened()
    await world.append(10)
    const converter = await bundle('export const value = ({ value }) => ({ n: value })')
    await world.create({ format: 'image', schema, converter })
    await world.caughtUp()
    for (const { headers } of world.messages()) expect(headers['millrace-schema']).toBe(schema.$id)
    await world.append(5)
    expect(await world.state('failed')).toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringMatching(/The record \d+ cannot be sent\. .* n: /),
    })
    expect(world.messages()).toHaveLength(13)
    // What is not named stays.
    await world.bridges.convert('test', { converter })
    expect(await world.state('failed')).toMatchObject({ code: 'SCHEMA_MISMATCH' })
    await world.bridges.convert('test', { schema: null })
    await world.caughtUp()
    expect(world.messages()).toHaveLength(15)
    expect(JSON.parse(String(world.messages().at(-1)?.value))).toEqual({ n: 14 })
    expect(world.messages().at(-1)?.headers['millrace-schema']).toBeUndefined()
  })

  test('of an event is that of its data', async () => {
    await opened()
    await world.append(3)
    const data = { $id: 'urn:example:number', type: 'number' }
    await world.create({ format: 'cloudevents', schema: data })
    await world.caughtUp()
    expect(JSON.parse(String(world.messages()[0]?.value))).toMatchObject({ dataschema: data.$id, data: 0 })
  })

  test('that cannot be checked is refused', async () => {
    await opened()
    for (const [wrong, why] of [
      [{ ...schema, $id: undefined }, '$id'],
      [{ ...schema, type: 'objekt' }, 'type'],
      [{ ...schema, properties: { n: { pattern: '(' } } }, 'regular expression'],
      [{ ...schema, $schema: 'http://json-schema.org/draft-04/schema#' }, 'draft-04'],
      [{ ...schema, $async: true }, '$async'],
      [{ ...schema, $ref: 'https://example.com/other' }, "can't resolve reference"],
      [[], 'no JSON object'],
      [{ ...schema, description: 'x'.repeat(70_000) }, '65536 bytes'],
    ] as const)
      await expect(world.create({ schema: wrong as never })).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringContaining(why),
      })
  })
})
