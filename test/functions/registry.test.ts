import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type Serving, serve } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

const text = (value: string) => `exports.handler = async () => ${JSON.stringify(value)}`

async function answerOf({ v1 }: Serving, name: string): Promise<unknown> {
  const { json } = await v1('POST', `functions/${name}/invoke`, { any: 1 })
  return json.payload
}

test('code is copied: a change of the file is taken at an update, and a restart needs no file', async () => {
  const folder = temporaryFolder()
  const dataDir = join(temporaryFolder(), 'data')
  const path = join(folder, 'f.js')
  writeFileSync(path, text('one'))
  const first = await serve({ dataDir, functionHost: { idleMs: 100 } })
  const made = await first.v1('POST', 'functions', { name: 'f', path, timeoutMs: 60_000, environment: { A: '1' } })
  expect([made.status, made.json]).toEqual([
    201,
    expect.objectContaining({ name: 'f', handler: 'f.handler', revision: 1 }),
  ])
  expect((await first.v1('POST', 'functions', { name: 'f', path })).code).toBe('ALREADY_EXISTS')
  expect(await answerOf(first, 'f')).toBe('one')

  writeFileSync(path, text('two'))
  expect(await answerOf(first, 'f')).toBe('one')
  // Nor does a thread that is started anew see it.
  await expect.poll(() => first.daemon.functions.host.threads).toBe(0)
  expect(await answerOf(first, 'f')).toBe('one')
  expect((await first.v1('PATCH', 'functions/f', {})).json).toMatchObject({ revision: 2 })
  expect((await first.v1('PATCH', 'functions/f', {})).json).toMatchObject({ revision: 2 })
  expect(await answerOf(first, 'f')).toBe('two')
  // The code before is loaded by no thread any more.
  await expect.poll(() => readdirSync(join(dataDir, 'functions/code')).length).toBe(1)
  await first.close()

  rmSync(folder, { recursive: true })
  const second = await serve({ dataDir })
  expect(await answerOf(second, 'f')).toBe('two')
  expect((await second.v1('GET', 'functions')).json.functions).toMatchObject([
    { name: 'f', settings: { timeoutMs: 60_000, environment: { A: '1' }, memoryMb: 128 }, counts: { invocations: 1 } },
  ])
  expect((await second.v1('DELETE', 'functions/f')).json).toEqual({ deleted: 'f' })
  expect((await second.v1('POST', 'functions/f/invoke', {})).code).toBe('FUNCTION_NOT_FOUND')
  expect(readdirSync(join(dataDir, 'functions/logs'))).toEqual([])
  await second.close()
  expect(existsSync(join(dataDir, 'functions/code'))).toBe(false)
})

test('functions of the configuration are read again at each start, and are changed there', async () => {
  const path = join(temporaryFolder(), 'f.js')
  const dataDir = join(temporaryFolder(), 'data')
  writeFileSync(path, text('one'))
  const first = await serve({ dataDir, functions: { f: { path } } })
  expect(await answerOf(first, 'f')).toBe('one')
  expect((await first.v1('PATCH', 'functions/f', { timeoutMs: 1 })).code).toBe('CONFLICT')
  expect((await first.v1('DELETE', 'functions/f')).code).toBe('CONFLICT')
  writeFileSync(path, text('two'))
  expect((await first.v1('PATCH', 'functions/f', {})).json).toMatchObject({ isConfigured: true })
  expect(await answerOf(first, 'f')).toBe('two')
  await first.close()
  writeFileSync(path, text('three'))
  const second = await serve({ dataDir, functions: { f: { path, timeoutMs: 500 } } })
  expect(await answerOf(second, 'f')).toBe('three')
  expect((await second.v1('GET', 'functions/f')).json).toMatchObject({
    isConfigured: true,
    settings: { timeoutMs: 500 },
  })
  await second.close()
  // Without its file it goes on as it was; out of the configuration, too, and may then be deleted.
  rmSync(path)
  const third = await serve({ dataDir, functions: { f: { path } } })
  expect(await answerOf(third, 'f')).toBe('three')
  await third.close()
  const fourth = await serve({ dataDir })
  expect(await answerOf(fourth, 'f')).toBe('three')
  expect((await fourth.v1('DELETE', 'functions/f')).status).toBe(200)
})

test('files that are sent, and what is no function', async () => {
  const serving = await serve({ functionHost: { codeBytesMax: 2000, codeFilesMax: 2, functionsMax: 1 } })
  const content = (value: string) => Buffer.from(value).toString('base64')
  const create = (body: object) => serving.v1('POST', 'functions', { name: 'f', origin: '/nowhere', ...body })
  const one = { path: 'a.js', content: content(text('sent')) }
  expect((await create({ files: [] })).code).toBe('FUNCTION_INVALID')
  expect((await create({ files: [{ ...one, path: '../a.js' }] })).code).toBe('FUNCTION_INVALID')
  expect((await create({ files: [{ ...one, path: '/a.js' }] })).code).toBe('FUNCTION_INVALID')
  expect((await create({ files: [one, one] })).code).toBe('FUNCTION_INVALID')
  expect((await create({ files: [{ ...one, content: content('x'.repeat(3000)) }] })).code).toBe('TOO_LARGE')
  expect((await create({ files: ['a', 'b', 'c'].map((path) => ({ ...one, path })) })).code).toBe('TOO_LARGE')
  expect((await create({ files: [one], timeoutMs: 0 })).code).toBe('FUNCTION_INVALID')
  expect((await create({ files: [one], unknown: 1 })).text).toContain('unknown')
  expect((await create({ files: [one], name: 'a b' })).code).toBe('FUNCTION_INVALID')
  expect((await create({ path: '/nowhere/at.js' })).code).toBe('FUNCTION_INVALID')
  expect((await create({ path: temporaryFolder() })).text).toContain('has no files')
  expect((await create({})).code).toBe('FUNCTION_INVALID')
  expect((await create({ files: [one], entry: 'a.js' })).json).toMatchObject({ handler: 'a.handler' })
  expect(await answerOf(serving, 'f')).toBe('sent')
  expect((await create({ files: [one], entry: 'a.js', name: 'g' })).code).toBe('TOO_BUSY')
  expect((await serving.v1('POST', 'functions/f/invoke', '{')).code).toBe('BAD_REQUEST')
})

test('on a full disk functions are called and deleted; what needs room is refused, and nothing of it is there', async () => {
  const dataDir = join(temporaryFolder(), 'data')
  const path = join(temporaryFolder(), 'f.js')
  writeFileSync(path, text('one'))
  const before = await serve({ dataDir })
  for (const name of ['f', 'g']) expect((await before.v1('POST', 'functions', { name, path })).status).toBe(201)
  await before.close()
  const full = await serve({ dataDir, commit: { freeBytesMin: 2 ** 52 } })
  await expect.poll(async () => (await full.v1('GET', 'status')).json.storageFull).toBe(true)
  expect(await answerOf(full, 'f')).toBe('one')
  writeFileSync(path, text('two'))
  const refused = await Promise.all([
    full.v1('POST', 'functions', { name: 'h', path }),
    full.v1('PATCH', 'functions/f', {}),
    full.v1('PATCH', 'functions/f', { path, timeoutMs: 1000 }),
  ])
  expect(refused.map(({ status, code }) => [status, code])).toEqual([
    [507, 'STORAGE_FULL'],
    [507, 'STORAGE_FULL'],
    [409, 'CONFLICT'],
  ])
  const later = await fetch(`${full.url}/2015-03-31/functions/f/invocations`, {
    method: 'POST',
    headers: { 'x-amz-invocation-type': 'Event' },
    body: '{}',
  })
  expect([later.status, later.headers.get('x-amzn-errortype')]).toEqual([503, 'ServiceException'])
  expect((await full.v1('GET', 'functions/f')).json).toMatchObject({ revision: 1, waitingCalls: 0 })
  expect(await answerOf(full, 'f')).toBe('one')
  for (const name of ['f', 'g']) expect((await full.v1('DELETE', `functions/${name}`)).json).toEqual({ deleted: name })
  expect((await full.v1('GET', 'functions')).json.functions).toEqual([])
})

test('code that two functions share stays while one of them has it', async () => {
  const serving = await serve()
  const files = [{ path: 'a.js', content: Buffer.from(text('shared')).toString('base64') }]
  const { functions } = serving.daemon.rooms
  const create = (name: string) => functions.create(name, { files, entry: 'a.js', origin: '/nowhere' })
  await create('f')
  await Promise.all([create('g'), functions.delete('f')])
  expect((await serving.v1('POST', 'functions/g/invoke', {})).json.payload).toBe('shared')
})
