import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../src/client/index.js'
import { BatchBuilder, encodeShapes, RowEncoder, shapesMax } from '../../src/log/bodies.js'
import { Codec, ExportReader, encodeBatch, forEachRecord, type Sequence, stampProducer } from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Serving, serve } from './serving.js'

beforeAll(ensureBuilt)

const binary = { 'content-type': 'application/octet-stream' }

function connected({ url }: Serving): Client {
  const client = connect({ url, producer: { codec: 'row' } })
  onTestFinished(() => client.close())
  return client
}

const values: readonly unknown[] = [
  { id: 1, name: 'Grüße', big: 2n ** 60n, more: { deep: [1, null] }, gone: undefined },
  { id: 2.5, name: '', big: null, more: new Uint8Array([1, 255]), gone: true },
  [1, 'list'],
  'text',
]
/** As programs of this package read them. */
const asRead: readonly unknown[] = [
  { id: 1, name: 'Grüße', big: 2n ** 60n, more: { deep: [1, null] } },
  { id: 2.5, name: '', big: null, more: new Uint8Array([1, 255]), gone: true },
  ...values.slice(2),
]
/** As JSON shows them. */
const asJson: readonly unknown[] = [
  { id: 1, name: 'Grüße', big: String(2n ** 60n), more: { deep: [1, null] } },
  { id: 2.5, name: '', big: null, more: 'Af8=', gone: true },
  ...values.slice(2),
]

/** A batch of rows as another program may send it. */
function batchOf(rows: readonly unknown[]) {
  const builder = new BatchBuilder(new RowEncoder())
  for (const value of rows) builder.add({ key: 'k', value }, 5)
  const batch = builder.build()
  stampProducer(batch, { producer: 0, number: 0, epoch: 0 })
  return { batch, shapes: builder.shapes }
}

async function read(client: Client, stream: string, count: number): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const record of client.subscribe({ stream, group: `readers-of-${stream}` })) {
    found.push(record.value)
    if (found.length === count) break
  }
  return found
}

const shown = async (serving: Serving, stream: string) => {
  const { shards } = (await serving.v1('GET', `streams/${stream}/shards`)).json as unknown as {
    shards: { id: number }[]
  }
  const pages = shards.map(async ({ id }) => {
    const { json } = await serving.v1('GET', `streams/${stream}/records?shard=${id}&limit=10000`)
    return (json as unknown as { records: { value: unknown; bytes?: string }[] }).records
  })
  return (await Promise.all(pages)).flat()
}

describe('rows', () => {
  it('that a client appends are read as what they were, over HTTP as JSON, also after a restart and a split', async () => {
    const dataDir = join(temporaryFolder(), 'data')
    const before = await serve({ dataDir })
    const client = connect({ url: before.url, producer: { codec: 'row' } })
    await client.createStream('s')
    const record = (value: unknown, i: number) => ({ key: `key ${i}`, value })
    await client.append('s', values.map(record))
    await client.close()
    await before.close()

    const serving = await serve({ dataDir })
    const again = connected(serving)
    const [shard] = serving.daemon.rooms.log.shards(serving.daemon.rooms.log.streamNamed('s')!.id)
    await serving.v1('POST', `streams/s/shards/${shard!.id}/split`, {})
    await again.append('s', values.map(record))
    expect((await shown(serving, 's')).map(({ value }) => value)).toEqual(
      expect.arrayContaining([...asJson, ...asJson]),
    )
    const found = await read(again, 's', 8)
    for (const value of asRead) expect(found.filter((each) => isEqual(each, value))).toHaveLength(2)
    const lines = (await serving.v1('GET', 'streams/s/export', undefined, { accept: 'application/x-ndjson' })).text
    expect(
      lines
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { value: unknown }).value),
    ).toEqual(expect.arrayContaining([...asJson]))
  })

  it('come with their shapes once: what the stream has need not be sent again, what it has not is refused', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const { batch, shapes } = batchOf([{ a: 1 }, { b: 'x' }])
    const post = (body: Buffer) => serving.v1('POST', 'streams/s/records', body, binary)
    const refused = await post(batch)
    expect(refused.code).toBe('SHAPE_UNKNOWN')
    expect(refused.json).toMatchObject({ error: { details: { shapes: shapes.map(({ id }) => id) } } })
    expect((await post(Buffer.concat([encodeShapes(shapes.slice(1)), batch]))).code).toBe('SHAPE_UNKNOWN')
    expect(await shown(serving, 's')).toEqual([])
    expect((await post(Buffer.concat([encodeShapes(shapes), batch]))).status).toBe(200)
    expect((await post(batch)).status).toBe(200)
    expect((await shown(serving, 's')).map(({ value }) => value)).toEqual([{ a: 1 }, { b: 'x' }, { a: 1 }, { b: 'x' }])
  })

  it('of a client whose stream was made anew bring their shapes again', async () => {
    const serving = await serve()
    const client = connected(serving)
    for (let round = 0; round < 2; round++) {
      await client.createStream('s')
      const producer = await client.producer('s', { codec: 'row' })
      await producer.append({ key: 'k', value: { a: 1 } })
      await producer.close()
      await serving.v1('DELETE', 'streams/s')
    }
    // One producer goes on under both.
    await client.createStream('t')
    await client.append('t', { key: 'k', value: { a: 1 } })
    await serving.v1('DELETE', 'streams/t')
    await client.createStream('t')
    await client.append('t', { key: 'k', value: { a: 2 } })
    expect(await read(client, 't', 1)).toEqual([{ a: 2 }])
  })

  it('of more shapes than a stream may have are stored in another form, and none is lost', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const fill = batchOf(Array.from({ length: shapesMax - 1 }, (_, i) => ({ [`f${i}`]: i })))
    const post = (body: Buffer) => serving.v1('POST', 'streams/s/records', body, binary)
    expect((await post(Buffer.concat([encodeShapes(fill.shapes), fill.batch]))).status).toBe(200)
    const client = connected(serving)
    const many = Array.from({ length: 10 }, (_, i) => ({ [`g${i}`]: i }))
    await client.append(
      's',
      many.map((value) => ({ key: 'k', value })),
    )
    await client.append('s', [
      { key: 'k', value: { g3: 33 } },
      { key: 'k', value: { f7: 'another type' } },
    ])
    const found = (await shown(serving, 's')).map(({ value }) => value)
    expect(found.slice(shapesMax - 1)).toEqual([...many, { g3: 33 }, { f7: 'another type' }])
    const two = batchOf([{ h1: 1 }, { h2: 2 }])
    expect((await post(Buffer.concat([encodeShapes(two.shapes), two.batch]))).code).toBe('SHAPES_FULL')
  })

  it('whose bytes are none are shown as bytes, and keep nobody from what follows', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const { shapes } = batchOf([{ a: 1, b: 'x' }])
    const key = Buffer.from('k')
    const record = (codec: Codec, body: Buffer) => ({
      hash: hashKey(key),
      kind: 0 as const,
      flags: 0,
      codec,
      shape: codec === Codec.row ? shapes[0]!.id : 0,
      time: 5,
      key,
      body,
    })
    const far = Buffer.alloc(16)
    far.writeUInt32LE(1000, 8)
    far.writeUInt32LE(1000, 12)
    const nested = Buffer.concat([Buffer.alloc(5000, 0x91), Buffer.from([1])])
    const bodies = [Buffer.from('short'), far, nested, Buffer.from([0xdc])]
    const batch = encodeBatch([
      record(Codec.row, bodies[0]!),
      record(Codec.row, far),
      record(Codec.msgpack, nested),
      record(Codec.msgpack, bodies[3]!),
      record(Codec.json, Buffer.from('7')),
    ])
    const answer = await serving.v1('POST', 'streams/s/records', Buffer.concat([encodeShapes(shapes), batch]), binary)
    expect(answer.status).toBe(200)
    const records = await shown(serving, 's')
    expect(records.slice(0, 4).map(({ bytes }) => bytes)).toEqual(bodies.map((body) => body.toString('base64')))
    expect(records[4]!.value).toBe(7)
    const found = await read(connected(serving), 's', 5)
    expect(found.at(-1)).toBe(7)
    expect(found[0]).toEqual(new Uint8Array(bodies[0]!))
  })

  it('are exported with their shapes, and imported in either format', async () => {
    const serving = await serve()
    const client = connected(serving)
    await client.createStream('s', { shards: 2 })
    await client.append(
      's',
      values.map((value, i) => ({ key: `key ${i}`, value })),
    )
    const response = await fetch(`${serving.url}/v1/streams/s/export`, { headers: { 'x-millrace': '1' } })
    const exported = Buffer.from(await response.arrayBuffer())
    const codecs: Codec[] = []
    for (const part of new ExportReader().push(exported)) {
      if (part.kind === 'head') expect(part.head.shapes).toHaveLength(1)
      if (part.kind !== 'chunk') continue
      forEachRecord(part.chunk, 0 as Sequence, (record) => {
        codecs.push(record.codec)
        return true
      })
    }
    expect(codecs.sort()).toEqual([Codec.row, Codec.row, Codec.msgpack, Codec.msgpack])
    for (const format of ['chunks', 'ndjson']) {
      const file = join(temporaryFolder(), 'export')
      expect((await millrace(['export', 's', '--format', format, '--file', file, '--url', serving.url])).code).toBe(0)
      await client.createStream(format)
      const imported = await millrace(['import', format, '--file', file, '--url', serving.url])
      expect(imported).toMatchObject({ code: 0 })
      const found = await read(client, format, 4)
      expect(found).toEqual(expect.arrayContaining([...(format === 'chunks' ? asRead : asJson)]))
    }
  })
})

/** Deep equality of Vitest, as a value. */
function isEqual(one: unknown, other: unknown): boolean {
  try {
    expect(one).toEqual(other)
    return true
  } catch {
    return false
  }
}
