import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ExportReader } from '../../src/log/index.js'
import { answeredError, type MillraceError } from '../../src/runtime/errors.js'
import { ensureBuilt } from '../built.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Serving, serve } from './serving.js'

/** More than the kernel takes for a client that reads nothing. */
const pieces = 32

async function filled(http: { exportsMax: number; exportStalledMsMax?: number }): Promise<Serving> {
  const serving = await serve({ http })
  await serving.v1('POST', 'streams', { name: 'clicks' })
  const value = 'x'.repeat(1_000_000)
  for (let n = 0; n < pieces; n++)
    expect((await serving.v1('POST', 'streams/clicks/records', { records: [{ key: 'k', value }] })).status).toBe(200)
  return serving
}

/** Asks for an export and takes nothing of it but its beginning. */
async function hang(serving: Serving): Promise<Socket> {
  const socket = connect(serving.port, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
  })
  socket.write('GET /v1/streams/clicks/export HTTP/1.1\r\nhost: 127.0.0.1\r\nx-millrace: 1\r\n\r\n')
  await once(socket, 'readable')
  return socket
}

const exported = (serving: Serving) =>
  serving.v1('GET', 'streams/clicks/export', undefined, { accept: 'application/x-ndjson' })

/** Asks until there is room. */
async function whenFree(serving: Serving) {
  for (;;) {
    const answer = await exported(serving)
    if (answer.code !== 'TOO_BUSY') return answer
  }
}

test('exports are bounded; a client that goes away gives its place free', async () => {
  const serving = await filled({ exportsMax: 2 })
  const hanging = [await hang(serving), await hang(serving)]
  expect(await exported(serving)).toMatchObject({ code: 'TOO_BUSY' })
  // What is refused takes no place, whatever is wrong with it.
  expect((await serving.v1('GET', 'streams/clicks/export?from=x', undefined, { accept: 'text/plain' })).code).toBe(
    'BAD_REQUEST',
  )
  hanging[0]?.destroy()
  const { status, text } = await whenFree(serving)
  expect(status).toBe(200)
  expect(text.trimEnd().split('\n')).toHaveLength(pieces)
})

test('a client that takes nothing is cut', async () => {
  const serving = await filled({ exportsMax: 1, exportStalledMsMax: 200 })
  const socket = await hang(serving)
  expect((await whenFree(serving)).status).toBe(200)
  let bytes = 0
  socket.on('data', (piece: Buffer) => {
    bytes += piece.length
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  expect(bytes).toBeLessThan(pieces * 1_000_000)
})

/** Reads a hanging export to its end, without the framing of HTTP's chunks. */
async function rest(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** An export of which nothing is taken until `then` has returned. */
async function pausedExport(serving: Serving, accept: string, then: () => Promise<void>): Promise<Buffer> {
  const url = `${serving.url}/v1/streams/clicks/export`
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers: { accept, 'x-millrace': '1' } }, resolve).on('error', reject)
  })
  await then()
  return rest(response)
}

/** Trims all but the newest records, which no export has read ahead so far. */
async function trim({ daemon }: Serving): Promise<void> {
  const { log } = daemon.rooms
  const shard = log.shards(log.streamNamed('clicks')!.id)[0]!
  await log.trimmer.trim([{ shard: shard.id, to: (log.lastSequence(shard.id) - 2) as never }])
}

const sequencesOf = (lines: readonly string[]) =>
  lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence)

test('an export whose records are trimmed under it says so, how far it came, and where it goes on', async () => {
  const serving = await filled({ exportsMax: 2 })
  const { log } = serving.daemon.rooms
  const shard = log.shards(log.streamNamed('clicks')!.id)[0]!
  const text = (await pausedExport(serving, 'application/x-ndjson', () => trim(serving))).toString()
  const lines = text.trimEnd().split('\n')
  const error = answeredError(lines.pop() as string) as MillraceError
  expect(error).toMatchObject({ code: 'TRIMMED', details: { shard: shard.id } })
  const before = sequencesOf(lines)
  expect(before.length).toBeGreaterThan(0)
  expect(error.details.next).toBe(before.at(-1)! + 1)
  const kept = log.shard(shard.id)!.lowWatermark
  expect(error.message).toContain(`from ${before.at(-1)! + 1} to ${kept - 1} are no longer kept`)
  // Its end is that of the export that broke off, whatever came since: other shards may have been sent up to there.
  const last = log.lastSequence(shard.id)
  await serving.v1('POST', 'streams/clicks/records', { records: [{ key: 'k', value: 'later' }] })
  expect(error.remedy).toContain(`--resume ${shard.id}:${kept} --until ${error.details.until}`)
  const bounds = `resume=${error.details.resume}&until=${error.details.until}`
  const on = await serving.v1('GET', `streams/clicks/export?${bounds}`, undefined, { accept: 'application/x-ndjson' })
  const after = sequencesOf(on.text.trimEnd().split('\n'))
  expect(after[0]).toBe(kept)
  expect(after.at(-1)).toBe(last)
  // What went meanwhile is no place to go on from.
  const gone = await serving.v1('GET', `streams/clicks/export?resume=${shard.id}:${kept - 1}`)
  expect(gone).toMatchObject({ status: 410, code: 'TRIMMED' })
  expect((await serving.v1('GET', 'streams/clicks/export?resume=x')).code).toBe('BAD_REQUEST')
})

test('so does an export of chunks, which is not taken for a whole one', async () => {
  const serving = await filled({ exportsMax: 1 })
  const bytes = await pausedExport(serving, 'application/octet-stream', () => trim(serving))
  const reader = new ExportReader()
  const kinds = reader.push(bytes).map(({ kind }) => kind)
  expect([kinds[0], kinds.at(-1)]).toEqual(['head', 'failure'])
  expect(kinds).toContain('chunk')
  expect(reader.isWhole).toBe(false)
  expect(() => reader.finish()).toThrow(expect.objectContaining({ code: 'TRIMMED' }))
})

test.each(['ndjson', 'chunks'])('the command keeps what came before and ends with 1 (%s)', async (format) => {
  ensureBuilt()
  const serving = await filled({ exportsMax: 1 })
  const main = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))
  const args = [main, 'export', 'clicks', '--json', '--format', format, '--url', serving.url]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: temporaryFolder() })
  // Its output is not read, so it takes nothing either.
  await once(child.stdout, 'readable')
  await trim(serving)
  let [bytes, stderr] = [0, '']
  let last = Buffer.alloc(0)
  child.stdout.on('data', (piece: Buffer) => {
    bytes += piece.length
    last = Buffer.concat([last, piece]).subarray(-1000)
  })
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString()
  })
  const [code] = (await once(child, 'close')) as [number]
  expect(code).toBe(1)
  expect(bytes).toBeGreaterThan(1_000_000)
  expect(bytes).toBeLessThan(pieces * 1_000_000)
  expect(answeredError(stderr.trimEnd().split('\n').at(-1) as string)).toMatchObject({ code: 'TRIMMED' })
  // The error is no record.
  if (format === 'ndjson') expect(last.toString()).toMatch(/x"\}\n$/)
})
