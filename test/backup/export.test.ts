import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ExportReader, forEachRecord } from '../../src/log/index.js'
import { ensureBuilt } from '../built.js'
import { errorOf, millrace } from '../cli/millrace.js'
import { CuttingProxy } from '../client/cutting-proxy.js'
import { DaemonProcess } from '../daemon-process.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data: join(folder, 'data'), cwd: folder })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface Line {
  readonly sequence: number
  readonly shard: number
  readonly time: number
  readonly commitTime: number
  readonly key: string
  readonly value: unknown
}

const run = (...args: readonly string[]) => millrace([...args, '--url', daemon.url], { cwd: folder })

async function lines(...args: readonly string[]): Promise<Line[]> {
  const { code, stdout, stderr } = await run('export', ...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

const append = (stream: string, from: number, count: number) =>
  daemon.v1('POST', `streams/${stream}/records`, {
    records: Array.from({ length: count }, (_, i) => ({
      key: `key ${(from + i) % 7}`,
      value: from + i,
      time: from + i,
    })),
  })

/** A stream whose shards have split twice, with 1500 records. */
async function make(name: string): Promise<void> {
  await daemon.v1('POST', 'streams', { name, shards: 2 })
  await append(name, 0, 500)
  for (const from of [500, 1000]) {
    const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>('GET', `streams/${name}/shards`)
    const open = shards.filter((shard) => shard.state === 'open')
    await daemon.v1('POST', `streams/${name}/shards/${open[0]!.id}/split`)
    await append(name, from, 500)
  }
}

const byKey = (all: readonly { key: string; value: unknown }[]): Record<string, unknown[]> => {
  const keys: Record<string, unknown[]> = {}
  for (const { key, value } of all) keys[key] = [...(keys[key] ?? []), value]
  return keys
}

test('what is exported, in either format, is imported as it was, in the order of each key', async () => {
  await make('source')
  const all = await lines('source')
  expect(all.map(({ value }) => value).sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 1500 }, (_, i) => i),
  )
  for (const format of ['ndjson', 'chunks']) {
    const file = join(folder, `export.${format}`)
    expect(await run('export', 'source', '--format', format, '--file', file)).toMatchObject({ code: 0, stdout: '' })
    expect(existsSync(`${file}.partial`)).toBe(false)
    await daemon.v1('POST', 'streams', { name: `copy-${format}`, shards: 3 })
    const imported = await run('import', `copy-${format}`, '--file', file, '--json')
    expect(imported).toEqual({ code: 0, stdout: '{"imported":1500,"skipped":0}\n', stderr: '' })
    const copy = await lines(`copy-${format}`)
    expect(byKey(copy)).toEqual(byKey(all))
    expect(copy.every(({ time, value }) => time === value)).toBe(true)
  }
})

test('a range by sequence number and by time holds exactly its records', async () => {
  await make('ranged')
  const all = await lines('ranged')
  const numbers = all.map(({ sequence }) => sequence).sort((a, b) => a - b)
  const [from, until] = [numbers[123]!, numbers[1100]!]
  const inside = all.filter(({ sequence }) => sequence >= from && sequence < until)
  expect(await lines('ranged', '--from', String(from), '--until', String(until))).toEqual(inside)
  const time = all.find(({ value }) => value === 500)!.commitTime
  expect(await lines('ranged', '--from-time', String(time))).toEqual(all.filter(({ commitTime }) => commitTime >= time))
  expect(await lines('ranged', '--until-time', new Date(time).toISOString())).toEqual(
    all.filter(({ commitTime }) => commitTime < time),
  )
  const file = join(folder, 'ranged.chunks')
  await run('export', 'ranged', '--from', String(from), '--until', String(until), '--format', 'chunks', '--file', file)
  await daemon.v1('POST', 'streams', { name: 'range-copy' })
  const half = Math.floor(inside.length / 2)
  await run('import', 'range-copy', '--file', file, '--skip', String(half))
  expect(await lines('range-copy')).toHaveLength(inside.length - half)
  expect((await lines('range-copy')).map(({ value }) => value)).toEqual(inside.slice(half).map(({ value }) => value))
})

test('an export that was cut or changed is not taken for a whole one', async () => {
  await daemon.v1('POST', 'streams', { name: 'whole' })
  await append('whole', 0, 100)
  const file = join(folder, 'whole.chunks')
  await run('export', 'whole', '--format', 'chunks', '--file', file)
  const bytes = readFileSync(file)
  await daemon.v1('POST', 'streams', { name: 'target' })
  const faults = [bytes.subarray(0, bytes.length - 1), bytes.subarray(0, bytes.length - 40), bytes.subarray(0, 100)]
  for (const at of [20, 200, 2000, bytes.length - 5]) {
    const copy = Buffer.from(bytes)
    copy[at] = copy[at]! ^ 1
    faults.push(copy)
  }
  for (const [i, fault] of faults.entries()) {
    writeFileSync(file, fault)
    const failed = await run('import', 'target', '--file', file, '--json')
    expect([i, failed.code]).toEqual([i, 1])
    expect(['FORMAT_INVALID', 'BAD_REQUEST']).toContain(errorOf(failed).code)
  }
})

test('the pieces in which an export arrives do not matter', async () => {
  await daemon.v1('POST', 'streams', { name: 'pieces' })
  for (let i = 0; i < 5; i++) await append('pieces', i * 10, 10)
  const response = await fetch(`${daemon.url}/v1/streams/pieces/export`, { headers: { 'x-millrace': '1' } })
  const bytes = Buffer.from(await response.arrayBuffer())
  for (const size of [1, 7, 64, 100, bytes.length]) {
    const reader = new ExportReader()
    let records = 0
    for (let at = 0; at < bytes.length; at += size) {
      for (const part of reader.push(bytes.subarray(at, at + size))) {
        if (part.kind === 'chunk')
          forEachRecord(part.chunk, 0 as never, () => {
            records++
            return true
          })
      }
    }
    reader.finish()
    expect(records).toBe(50)
  }
})

test('a table is exported with its images, and says why it cannot be imported', async () => {
  await daemon.aws('CreateTable', {
    TableName: 'things',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
  })
  await daemon.aws('PutItem', { TableName: 'things', Item: { id: { S: 'a' } } })
  expect(await lines('table:things')).toMatchObject([
    { type: 'insert', keys: { id: { S: 'a' } }, new: { id: { S: 'a' } } },
  ])
  await daemon.v1('POST', 'streams', { name: 'plain' })
  for (const format of ['ndjson', 'chunks']) {
    const file = join(folder, `table.${format}`)
    await run('export', 'table:things', '--format', format, '--file', file)
    expect(errorOf(await run('import', 'plain', '--file', file, '--json')).code).toBe('UNSUPPORTED')
  }
  expect(errorOf(await run('import', 'table:things', '--json')).code).toBe('CONFLICT')
  expect(errorOf(await run('export', 'none', '--json')).code).toBe('NOT_FOUND')
  expect(errorOf(await run('export', 'plain', '--format', 'csv', '--json')).code).toBe('USAGE')
  expect(errorOf(await run('import', 'plain', '--file', join(folder, 'none'), '--json')).code).toBe('NOT_FOUND')
})

test('an import of what is damaged in its middle says how far it came, and goes on from there', async () => {
  await daemon.v1('POST', 'streams', { name: 'broken' })
  const text = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `{"key":"k","value":${from + i}}\n`).join('')
  const input = join(folder, 'broken.ndjson')
  writeFileSync(input, `${text(0, 10_500)}{"key":\n`)
  const failed = await run('import', 'broken', '--file', input, '--json')
  expect(failed.code).toBe(1)
  const error = errorOf(failed)
  expect(error).toMatchObject({ code: 'BAD_REQUEST' })
  expect(error.message).toContain('10000 records are imported: Line 10501 is not JSON')
  expect(error.remedy).toContain('--skip 10000')
  writeFileSync(input, text(0, 10_501))
  await run('import', 'broken', '--file', input, '--skip', '10000')
  expect((await lines('broken')).map(({ value }) => value)).toEqual(Array.from({ length: 10_501 }, (_, i) => i))
})

test('an import whose answers are lost has every record once', async () => {
  await daemon.v1('POST', 'streams', { name: 'lossy' })
  const proxy = new CuttingProxy()
  const url = await proxy.listen()
  proxy.target = Number(new URL(daemon.url).port)
  // Every second batch is stored, and nobody is told.
  let batches = 0
  proxy.onAnswer = (request) => (request.includes('/lossy/records') && batches++ % 2 === 0 ? 'cut' : 'pass')
  const input = Array.from({ length: 25_000 }, (_, i) => `{"key":"k","value":${i}}\n`).join('')
  const imported = await millrace(['import', 'lossy', '--json', '--url', url], { cwd: folder, input })
  expect(imported).toEqual({ code: 0, stdout: '{"imported":25000,"skipped":0}\n', stderr: '' })
  expect(proxy.cuts).toBe(3)
  proxy.close()
  expect((await lines('lossy')).map(({ value }) => value)).toEqual(Array.from({ length: 25_000 }, (_, i) => i))
})

test.each(['cut', 'away'] as const)('an import that gave up within a request finishes it later (%s)', async (how) => {
  const stream = `resumed-${how}`
  await daemon.v1('POST', 'streams', { name: stream })
  const proxy = new CuttingProxy()
  const url = await proxy.listen()
  proxy.target = Number(new URL(daemon.url).port)
  let batches = 0
  proxy.onAnswer = (request) => (request.includes('/records') && ++batches > 1 ? 'cut' : 'pass')
  // The second request never arrives, or its answer never does.
  if (how === 'away')
    proxy.onRequest = (request) => {
      if (request.includes('/records') && batches > 0) return 'cut'
      return 'pass'
    }
  const input = join(folder, `${stream}.ndjson`)
  writeFileSync(input, Array.from({ length: 25_000 }, (_, i) => `{"key":"k","value":${i}}\n`).join(''))
  const args = ['import', stream, '--file', input, '--json']
  const failed = await millrace([...args, '--retry-ms', '300', '--url', url], { cwd: folder })
  proxy.close()
  expect(failed.code).toBe(1)
  const error = errorOf(failed)
  expect(error.message).toContain('10000 records are imported; whether the next 10000 are too')
  const [, more] = /Go on with (--skip 10000 --resume \d+:2)\./.exec(error.remedy) ?? []
  const resumed = await run(...args, ...(more as string).split(' '))
  expect(resumed).toEqual({ code: 0, stdout: '{"imported":15000,"skipped":10000}\n', stderr: '' })
  expect((await lines(stream)).map(({ value }) => value)).toEqual(Array.from({ length: 25_000 }, (_, i) => i))
  expect(errorOf(await run(...args, '--resume', 'x')).code).toBe('USAGE')
})

test('an import that breaks off again before it has come anywhere says the same as the first time', async () => {
  await daemon.v1('POST', 'streams', { name: 'twice' })
  const proxy = new CuttingProxy()
  const url = await proxy.listen()
  proxy.target = Number(new URL(daemon.url).port)
  let batches = 0
  proxy.onAnswer = (request) => (request.includes('/records') && ++batches > 1 ? 'cut' : 'pass')
  const input = join(folder, 'twice.ndjson')
  const whole = Array.from({ length: 25_000 }, (_, i) => `{"key":"k","value":${i}}\n`)
  writeFileSync(input, whole.join(''))
  const args = ['import', 'twice', '--file', input, '--json', '--retry-ms', '300']
  const goOn = (failed: { stderr: string; code: number | null }): string[] => {
    const [, more] = /Go on with (--skip 10000 --resume \d+:2)\./.exec(errorOf(failed as never).remedy) ?? []
    expect(more).toBeDefined()
    return (more as string).split(' ')
  }
  let more = goOn(await millrace([...args, '--url', url], { cwd: folder }))
  // Then the producer cannot even be opened, and then the input is short.
  proxy.onRequest = (request) => (request.includes('/producers') ? 'cut' : 'pass')
  more = goOn(await millrace([...args, ...more, '--url', url], { cwd: folder }))
  proxy.close()
  writeFileSync(input, `${whole.slice(0, 5_000).join('')}{"key":\n`)
  more = goOn(await run(...args, ...more))
  writeFileSync(input, whole.join(''))
  const resumed = await run(...args, ...more)
  expect(resumed).toEqual({ code: 0, stdout: '{"imported":15000,"skipped":10000}\n', stderr: '' })
  expect((await lines('twice')).map(({ value }) => value)).toEqual(Array.from({ length: 25_000 }, (_, i) => i))
})
