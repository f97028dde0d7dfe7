import { readFileSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { readFrame } from '../../src/client/poll-frame.js'
import { ChunkMemory } from '../../src/log/chunk-memory.js'
import { Codec, chunkIsWhole, ExportReader, encodeBatch, forEachRecord, RecordKind } from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Serving, serve } from './serving.js'

/** Enough that the memory of every chunk is written again many times: the cache holds a few of them. */
const batches = 40
const stream = 'clicks'
const overwritten = 0xee

/** What record `n` holds: its number, and bytes that follow from it. */
function bodyOf(n: number): string {
  return JSON.stringify({ n, fill: String.fromCharCode(97 + (n % 26)).repeat(200 + ((n * 7919) % 1500)) })
}

/** Batches of 5 to 100 KiB, so that memory of several sizes goes round. */
const recordsOf = (batch: number): number => 8 + ((batch * 31) % 90)

/** Hears of every record in its order, and knows what each must hold. */
class Witness {
  next = 0

  body(text: string): void {
    if (text !== bodyOf(this.next)) throw new Error(`record ${this.next} was read as ${text.slice(0, 100)}`)
    this.next++
  }

  chunks(chunks: readonly Buffer[], from: number): void {
    for (const chunk of chunks) {
      if (!chunkIsWhole(chunk)) throw new Error(`a chunk behind record ${this.next} does not match its checksum`)
      forEachRecord(chunk, from as never, (record) => {
        this.body(record.body.toString())
        return true
      })
    }
  }
}

/** A request whose answer the caller takes as slowly as it likes. */
function ask(serving: Serving, method: string, path: string, accept: string, body?: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'x-millrace': '1', accept, 'content-type': 'application/json' }
    const asked: ClientRequest = request(`${serving.url}/v1/${path}`, { method, headers, agent: false }, (answer) => {
      if (answer.statusCode === 200) resolve(answer)
      else reject(new Error(`${path} was answered with ${answer.statusCode}`))
    })
    asked.on('error', reject)
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const aTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Takes an answer a piece at a time, with pauses in which others append; stops after `bytesMax`. */
async function slowly(answer: IncomingMessage, bytesMax = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer) {
    pieces.push(piece as Buffer)
    bytes += (piece as Buffer).length
    if (bytes >= bytesMax) {
      answer.destroy()
      return undefined
    }
    for (let turns = 0; turns < 5; turns++) await aTurn()
  }
  return Buffer.concat(pieces)
}

interface Held {
  readonly member: string
  readonly shard: number
  readonly generation: number
  readonly next: number
}

async function joined(serving: Serving, group: string): Promise<Held> {
  await serving.v1('POST', 'groups', { name: group, stream, start: 'oldest' })
  const { json } = await serving.v1('POST', `groups/${group}/members`)
  const member = `groups/${group}/members/${(json as unknown as { member: string }).member}`
  let generation: number | undefined
  for (;;) {
    const answer = await ask(serving, 'POST', `${member}/poll`, '*/*', { waitMs: 10_000, generation })
    const frame = readFrame((await slowly(answer)) as Buffer)
    generation = frame.generation
    const [held] = frame.assigned
    if (held) return { member, shard: held.shard, generation, next: held.next }
  }
}

/** A member that reads everything as frames; `everyBroken` of its answers it takes only the beginning. */
async function member(serving: Serving, group: string, everyBroken: number, total: number): Promise<void> {
  const held = await joined(serving, group)
  const witness = new Witness()
  let { next } = held
  for (let polls = 1; witness.next < total; polls++) {
    const body = { cursors: { [held.shard]: next }, generation: held.generation, waitMs: 10_000, bytesMax: 400_000 }
    const answer = await ask(serving, 'POST', `${held.member}/poll`, '*/*', body)
    const bytes = await slowly(answer, polls % everyBroken === 0 ? 1 : undefined)
    if (!bytes) continue
    for (const page of readFrame(bytes).pages) {
      witness.chunks(page.chunks, next)
      next = page.next
    }
  }
}

/** A member that asks for JSON. */
async function shownMember(serving: Serving, group: string, total: number): Promise<void> {
  const held = await joined(serving, group)
  const witness = new Witness()
  let { next } = held
  while (witness.next < total) {
    const body = { cursors: { [held.shard]: next }, generation: held.generation, waitMs: 10_000, bytesMax: 200_000 }
    const { json } = await serving.v1('POST', `${held.member}/poll`, body, { accept: 'application/json' })
    for (const page of (json as unknown as { pages: { next: number; records: { value: unknown }[] }[] }).pages) {
      for (const { value } of page.records) witness.body(JSON.stringify(value))
      next = page.next
    }
  }
}

/** Reads a shard as JSON, at the tail with a wait. */
async function shownRecords(serving: Serving, shard: number, total: number): Promise<void> {
  const witness = new Witness()
  for (let from = ''; witness.next < total; ) {
    const { json } = await serving.v1('GET', `streams/${stream}/records?shard=${shard}&wait=10000${from}`)
    const page = json as unknown as { next: number; records: { value: unknown }[] }
    for (const { value } of page.records) witness.body(JSON.stringify(value))
    from = `&from=${page.next}`
  }
}

/** Exports what there is, again and again, the next from where the last one ended. */
async function exporter(serving: Serving, total: number, isBroken: boolean): Promise<void> {
  const witness = new Witness()
  for (let from = 0, turns = 1; witness.next < total; turns++) {
    const until = serving.daemon.rooms.log.nextSequence()
    if (until <= from) {
      await aTurn()
      continue
    }
    const path = `streams/${stream}/export?from=${from}&until=${until}`
    const answer = await ask(serving, 'GET', path, 'application/octet-stream')
    const bytes = await slowly(answer, isBroken && turns % 2 === 0 ? 1 : undefined)
    if (!bytes) continue
    const reader = new ExportReader()
    for (const part of reader.push(bytes)) {
      if (part.kind !== 'chunk') continue
      forEachRecord(part.chunk, from as never, (record) => {
        if (record.sequence < until) witness.body(record.body.toString())
        return true
      })
    }
    reader.finish()
    from = until
  }
}

/** Whoever still looks at memory that was given back sees this. Returns how often that was. */
function overwriteWhatIsGivenBack(): () => number {
  const giveBack = ChunkMemory.prototype.giveBack
  let given = 0
  const spy = vi.spyOn(ChunkMemory.prototype, 'giveBack').mockImplementation(function (this: ChunkMemory, chunk) {
    given++
    new Uint8Array(chunk.buffer).fill(overwritten)
    giveBack.call(this, chunk)
  })
  onTestFinished(() => {
    spy.mockRestore()
  })
  return () => given
}

/** Appends records of a megabyte, each of one letter, and so one chunk. */
async function fill(serving: Serving, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const value = String.fromCharCode(97 + (n % 26)).repeat(1_000_000)
    expect((await serving.v1('POST', `streams/${stream}/records`, { records: [{ key: 'k', value }] })).status).toBe(200)
  }
}

test.each(['poll', 'export'] as const)(
  'an answer that waits for its client is not written over (%s)',
  {
    timeout: 120_000,
  },
  async (what) => {
    const given = overwriteWhatIsGivenBack()
    // More than the kernel takes for a client that reads nothing, and all of it still in the cache.
    const size = 16
    const serving = await serve({
      log: { tailCacheBytesMax: 20 << 20, shardsMax: 1 },
      groups: { pollBytesMax: 64 << 20 },
    })
    await serving.v1('POST', 'streams', { name: stream })
    const held = await joined(serving, 'g')
    await fill(serving, 0, size)
    const body = { cursors: { [held.shard]: held.next }, generation: held.generation, bytesMax: size << 20 }
    const answer =
      what === 'poll'
        ? await ask(serving, 'POST', `${held.member}/poll`, '*/*', body)
        : await ask(serving, 'GET', `streams/${stream}/export`, 'application/octet-stream')
    const gone = await ask(serving, 'POST', `${held.member}/poll`, '*/*', body)
    gone.destroy()
    // All that it holds leaves the cache.
    await fill(serving, size, 3 * size)
    expect(given()).toBeGreaterThan(size / 2)
    const bytes = (await slowly(answer)) as Buffer
    const chunks =
      what === 'poll'
        ? readFrame(bytes).pages.flatMap((page) => page.chunks)
        : new ExportReader().push(bytes).flatMap((part) => (part.kind === 'chunk' ? [part.chunk] : []))
    const letters: string[] = []
    for (const chunk of chunks) {
      expect(chunkIsWhole(chunk)).toBe(true)
      forEachRecord(chunk, 0 as never, (record) => {
        expect(record.body.subarray(1, -1).equals(Buffer.alloc(1_000_000, record.body[1]))).toBe(true)
        letters.push(record.body.toString('latin1', 1, 2))
        return true
      })
    }
    expect(letters).toEqual(Array.from({ length: size }, (_, n) => String.fromCharCode(97 + (n % 26))))
  },
)

test('what readers get is what was appended, however slow they are or early they go, while its memory is written again', {
  timeout: 240_000,
}, async () => {
  ensureBuilt()
  const given = overwriteWhatIsGivenBack()
  const serving = await serve({ log: { tailCacheBytesMax: 400_000, shardsMax: 1 } })
  await serving.v1('POST', 'streams', { name: stream })
  const { json } = await serving.v1('GET', `streams/${stream}/shards`)
  const shard = (json as unknown as { shards: { id: number }[] }).shards[0]!.id
  const module = join(temporaryFolder(), 'lines.ts')
  writeFileSync(
    module,
    `import { file, pipeline, stream } from 'millrace'\nexport default pipeline('lines').from(stream('${stream}')).to(file('lines.ndjson', (record) => record.value))`,
  )
  await serving.v1('POST', 'pipelines', { bundle: await bundleModule(module), start: 'oldest' })

  let total = 0
  for (let batch = 0; batch < batches; batch++) total += recordsOf(batch)
  const append = async () => {
    let n = 0
    for (let batch = 0; batch < batches; batch++) {
      const records = Array.from({ length: recordsOf(batch) }, () => {
        const key = Buffer.from(`key ${n % 50}`)
        const body = Buffer.from(bodyOf(n++))
        return { hash: hashKey(key), kind: RecordKind.append, flags: 0, codec: Codec.json, time: 1, key, body }
      })
      const headers = { 'content-type': 'application/octet-stream' }
      const answer = await serving.v1('POST', `streams/${stream}/records`, encodeBatch(records), headers)
      if (answer.status !== 200) throw new Error(answer.text)
    }
  }
  await Promise.all([
    append(),
    member(serving, 'whole', Number.POSITIVE_INFINITY, total),
    member(serving, 'breaking', 2, total),
    member(serving, 'breaking-less', 3, total),
    shownMember(serving, 'shown', total),
    shownRecords(serving, shard, total),
    exporter(serving, total, false),
    exporter(serving, total, true),
  ])
  for (;;) {
    const { json } = await serving.v1('GET', 'groups/pipeline:lines')
    if ((json as unknown as { lag: number }).lag === 0) break
    await aTurn()
  }
  const lines = readFileSync(join(serving.daemon.dataDirectory, 'files', 'lines.ndjson'), 'utf8')
    .trim()
    .split('\n')
  const witness = new Witness()
  for (const line of lines) witness.body(line)
  expect(witness.next).toBe(total)
  expect(given()).toBeGreaterThan(batches / 4)
  expect(serving.daemon.rooms.log.reads.cache).toBeGreaterThan(10)
})
