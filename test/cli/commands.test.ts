import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { inProcess } from './in-process.js'
import { errorOf, millrace, type RunOptions } from './millrace.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data: join(folder, 'data'), cwd: folder })
  await daemon.aws('CreateTable', {
    TableName: 'things',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
  })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

/** What is given standard input is a process of its own, as is what follows (`tail`). */
const run = (args: readonly string[], options?: RunOptions) =>
  (options ? millrace : inProcess)([...args, '--url', daemon.url], options)

/** What a script reads (json.test.ts): one JSON document on standard output, nothing on standard error, exit code 0. */
async function json<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await inProcess([...args, '--json', '--url', daemon.url])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  return JSON.parse(stdout) as T
}

interface Read {
  readonly key: string
  readonly value: unknown
}

async function tail(...args: readonly string[]): Promise<Read[]> {
  const { code, stdout, stderr } = await run(['tail', ...args], {})
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Read)
}

async function onlyShard(stream: string): Promise<string> {
  const { shards } = await json<{ shards: { id: number }[] }>('shards', 'list', stream)
  return String(shards[0]!.id)
}

const bare = ({ key, value }: Read): Read => ({ key, value })
const ndjson = (records: readonly Read[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join('')

describe('append and tail', () => {
  test('what is appended from standard input comes back, in order', async () => {
    await json('streams', 'create', 'lines')
    const records = Array.from({ length: 2500 }, (_, i) => ({ key: `key ${i % 7}`, value: { i, text: '\u2028 Ωß' } }))
    const appended = await run(['append', 'lines', '--json'], { input: ndjson(records) })
    expect(appended).toEqual({ code: 0, stdout: '{"appended":2500}\n', stderr: '' })
    expect((await tail('lines', '--from', 'oldest', '--no-follow')).map(bare)).toEqual(records)
  })

  test('a file, and records one by one; a value that is no JSON is a string', async () => {
    await json('streams', 'create', 'few')
    const lines = file('few.ndjson', '\n{"key":"a","value":1,"time":1}\n\n{"key":"b","value":null}')
    expect(await json('append', 'few', '--file', lines)).toEqual({ appended: 2 })
    expect(await json('append', 'few', 'c', '{"n":1}')).toEqual({ appended: 1 })
    expect((await run(['append', 'few', 'd', 'hello'])).stdout).toBe('appended 1 record\n')
    const read = await tail('few', '--from', 'oldest', '--no-follow')
    expect(read.map(bare)).toEqual([
      { key: 'a', value: 1 },
      { key: 'b', value: null },
      { key: 'c', value: { n: 1 } },
      { key: 'd', value: 'hello' },
    ])
    expect(read[0]).toMatchObject({ time: 1 })
    expect((await tail('few', '--from', 'oldest', '--limit', '2')).map(({ key }) => key)).toEqual(['a', 'b'])
    expect(await tail('few', '--no-follow')).toEqual([])
  })

  test('a line that is none is named by its number in the file, and what came before it is counted', async () => {
    await json('streams', 'create', 'wrong')
    const records = Array.from({ length: 1000 }, (_, value) => ({ key: 'k', value }))
    const lines = file('wrong.ndjson', `${ndjson(records)}{"key":"k","value":1}\n{"key":"k"}\n`)
    const refused = await run(['append', 'wrong', '--file', lines, '--json'])
    expect(refused.code).toBe(1)
    expect(errorOf(refused)).toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining('Line 1002'),
      details: { appended: 1000, line: 1002 },
    })
    expect(await tail('wrong', '--from', 'oldest', '--no-follow')).toHaveLength(1000)
  })

  test('tail follows what is appended after it began', async () => {
    await json('streams', 'create', 'followed')
    const following = tail('followed', '--from', 'oldest', '--limit', '3')
    for (const value of ['1', '2', '3']) await json('append', 'followed', 'k', value)
    expect((await following).map(({ value }) => value)).toEqual([1, 2, 3])
  })

  test('over splits each key keeps its order', async () => {
    await json('streams', 'create', 'split', '--shards', '2')
    const { shards } = await json<{ shards: { id: number; state: string }[] }>('shards', 'list', 'split')
    const round = (n: number) => Array.from({ length: 40 }, (_, i) => ({ key: `key ${i}`, value: n }))
    await run(['append', 'split'], { input: ndjson(round(1)) })
    const first = await json<{ children: { id: number }[] }>('shards', 'split', 'split', String(shards[0]!.id))
    await run(['append', 'split'], { input: ndjson(round(2)) })
    await json('shards', 'split', 'split', String(first.children[1]!.id))
    await run(['append', 'split'], { input: ndjson(round(3)) })
    const read = await tail('split', '--from', 'oldest', '--no-follow')
    expect(read).toHaveLength(120)
    for (let i = 0; i < 40; i++) {
      const values = read.filter(({ key }) => key === `key ${i}`).map(({ value }) => value)
      expect(values).toEqual([1, 2, 3])
    }
    expect(await json('streams', 'show', 'split')).toMatchObject({ shards: 6, open: 4 })
    const people = await run(['shards', 'list', 'split'])
    expect(people.stdout).toContain('sealed')
    expect((await run(['shards', 'split', 'split', String(shards[0]!.id), '--json'])).code).toBe(1)
  })

  test('over merges too, and the history says what was done', async () => {
    await json('streams', 'create', 'merge')
    const round = (n: number) => Array.from({ length: 40 }, (_, i) => ({ key: `key ${i}`, value: n }))
    await run(['append', 'merge'], { input: ndjson(round(1)) })
    const { children } = await json<{ children: { id: number }[] }>(
      'shards',
      'split',
      'merge',
      await onlyShard('merge'),
    )
    await run(['append', 'merge'], { input: ndjson(round(2)) })
    const [left, right] = children.map(({ id }) => id)
    const merged = await run(['shards', 'merge', 'merge', String(left), String(right)])
    expect(merged.stdout).toMatch(/^shards \d+ and \d+ are sealed; their child is \d+\n$/)
    await run(['append', 'merge'], { input: ndjson(round(3)) })
    const read = await tail('merge', '--from', 'oldest', '--no-follow')
    for (let i = 0; i < 40; i++)
      expect(read.filter(({ key }) => key === `key ${i}`).map(({ value }) => value)).toEqual([1, 2, 3])
    const { decisions } = await json<{ decisions: object[] }>('shards', 'history', 'merge')
    expect(decisions).toMatchObject([
      { number: 2, kind: 'merge', reason: 'manual', parents: [left, right] },
      { number: 1, kind: 'split', reason: 'manual', children: [left, right] },
    ])
    const people = await run(['shards', 'history', 'merge', '--limit', '1'])
    expect(people.stdout).toMatch(/number +time +what[^\n]*\n *2 /)
  })

  test('the top shows the heavy key of a stream, and what a split would do about it', async () => {
    await json('streams', 'create', 'skewed')
    let isOver = false
    const writing = (async () => {
      const records = Array.from({ length: 200 }, (_, i) => ({ key: i % 2 ? 'hot' : `key ${i}`, value: i }))
      while (!isOver) await daemon.v1('POST', 'streams/skewed/records', { records })
    })()
    try {
      // As much as comes within a sample is seen; on a machine that is busy with other work that may be nothing.
      const top = () => json<{ shards: object[] }>('shards', 'top', 'skewed', '--sample', '500')
      await expect.poll(top).toMatchObject({
        stream: 'skewed',
        policy: { target: { cpu: 0.6 } },
        shards: [{ isSampled: true, keys: [{ key: 'hot' }] }],
      })
      const people = async () => (await run(['shards', 'top', 'skewed', '--sample', '500'])).stdout
      await expect.poll(people).toMatch(/a split would[\s\S]*hot (4|5)\d %[\s\S]*give/)
    } finally {
      isOver = true
      await writing
    }
  })

  test('a stream takes settings of its own, and gives them back', async () => {
    await json('streams', 'create', 'own')
    const set = await json('streams', 'set', 'own', 'target.recordsPerSecond=20_000', 'merge=false', 'shardsMin=2')
    expect(set).toMatchObject({
      policy: { merge: false, shardsMin: 2, target: { recordsPerSecond: 20_000, cpu: 0.6 } },
    })
    await json('streams', 'set', 'own', 'merge=default', 'split.target.recordsPerSecond=default')
    expect(await json('streams', 'show', 'own')).toMatchObject({ policy: { shardsMin: 2 } })
    for (const [wrong, code] of [
      ['shardsMin', 'USAGE'],
      ['shardMin=1', 'BAD_REQUEST'],
      ['merge=5', 'BAD_REQUEST'],
    ] as const)
      expect(errorOf(await run(['streams', 'set', 'own', wrong, '--json'])).code).toBe(code)
  })
})

describe('an error', () => {
  test('is a sentence of what happened, one of what to do, and the code', async () => {
    const args = ['streams', 'show', 'none']
    const { code, message, remedy } = errorOf(await run([...args, '--json']))
    const stderr = `error: ${message}\n${remedy} (${code})\n`
    expect(await run(args)).toEqual({ code: 1, stdout: '', stderr })
  })

  test('says that nobody answers', async () => {
    const failed = await millrace(['status', '--url', 'http://127.0.0.1:1', '--json'])
    expect(failed.code).toBe(1)
    expect(errorOf(failed)).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('127.0.0.1:1') })
  })
})

describe('wrong usage', () => {
  const bridgeIn = ['bridges', 'create', 'b', '--from-topic', 't', '--into', 'stream:s']
  test.each([
    { args: ['status', '--jsn'], says: '--json' },
    { args: ['stats'], says: 'status' },
    { args: ['streams', 'show'], says: 'name' },
    { args: ['serve', '--port', 'eight'], says: 'whole number' },
    { args: ['streams', 'create', 's', '--shards', '-1'], says: 'whole number' },
    { args: ['tail', 's', '--from', 'middle'], says: 'newest' },
    { args: ['append', 's', 'key'], says: 'value' },
    { args: ['bridges', 'create', 'b'], says: '--source' },
    {
      args: [...bridgeIn, '--partitions', '3', '--header', 'a=b', '--no-tombstones', '--snapshot', '--topic', 't'],
      says: 'A bridge in has no --topic, --partitions, --snapshot, --header, --no-tombstones.',
    },
    { args: [...bridgeIn, '--converter', 'nowhere.ts'], says: 'has no --converter.' },
    { args: ['bridges', 'create', 'b', '--from-topic', 't'], says: '--into' },
    { args: [...bridgeIn, '--source', 's'], says: 'has no --source.' },
    {
      args: ['bridges', 'create', 'b', '--source', 's', '--group', 'g', '--dead-letters', 'd', '--unreadable', 'stop'],
      says: 'A bridge out has no --unreadable, --group.',
    },
    { args: ['bridges', 'converter', 'b'], says: 'what is to be removed' },
    { args: ['bridges', 'seek', 'b', '--to', 'yesterday'], says: 'oldest, newest' },
    { args: ['bridges', 'create', 'b', '--source', 's', '--brokers', 'a:1', '--header', 'x'], says: 'NAME=VALUE' },
    { args: ['pipelines', 'run', 'totals', '--from', '1.5'], says: '1.5 is neither a sequence number nor a time' },
    { args: ['pipelines', 'run', 'totals', '--to', '-5'], says: '-5 is neither a sequence number nor a time' },
    { args: ['export', 's', '--from-time', '1.5'], says: '1.5 is no time' },
    { args: ['export', 's', '--until-time', '-5'], says: '-5 is no time' },
    { args: ['status', '--url', 'nowhere'], says: 'URL' },
    { args: ['streams', 'set', 's', 'target.recordsPerSecond=1e400'], says: 'no number that can be stored' },
  ])('$args', async ({ args, says }) => {
    const { code, stdout, stderr } = await inProcess(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^error: [^\n]+\n[^\n]+ \(USAGE\)\n$/)
    expect(stderr).toContain(says)
  })

  test('as JSON too', async () => {
    const failed = await millrace(['status', '--jsn', '--json'])
    expect(failed).toMatchObject({ code: 2, stdout: '' })
    expect(errorOf(failed).code).toBe('USAGE')
  })

  test('help and version are no errors; no command at all is one', async () => {
    const help = await millrace(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('Usage: millrace')
    expect((await millrace(['shards', 'split', '--help'])).stdout).toContain('--at <hash...>')
    expect(await millrace(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    expect(await millrace([])).toMatchObject({ code: 2, stdout: '' })
  })

  test.for([[], ['parked'], ['bench']])('no command is an error in JSON too: %j', async (args) => {
    const run = await inProcess([...args, '--json'])
    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(errorOf(run)).toMatchObject({ code: 'USAGE', message: 'There is no command to run.' })
  })
})

describe('config', () => {
  const settings = async (args: readonly string[], options: RunOptions) => {
    const { stdout } = await inProcess(['config', 'show', '--json', ...args], options)
    const rows = (JSON.parse(stdout) as { settings: { setting: string; value: unknown; source: string }[] }).settings
    return new Map(rows.map(({ setting, ...row }) => [setting, row]))
  }

  test('show says of each setting what is in force and where it comes from', async () => {
    const config = file('some.yaml', 'listen: {port: 1}\nlogLevel: warn\ndurability: relaxed\n')
    const env = { MILLRACE_LISTEN_PORT: '2', MILLRACE_LOG_LEVEL: 'debug' }
    const rows = await settings(['--config', config, '--port', '3'], { env })
    expect(rows.get('listen.port')).toMatchObject({ value: 3, source: 'flag' })
    expect(rows.get('logLevel')).toMatchObject({ value: 'debug', source: 'environment', place: 'MILLRACE_LOG_LEVEL' })
    expect(rows.get('durability')).toMatchObject({ value: 'relaxed', source: 'file', place: config })
    expect(rows.get('dataDir')).toMatchObject({ value: './millrace-data', source: 'default' })
    const people = await inProcess(['config', '--config', config])
    expect(people.stdout).toMatch(/durability +"relaxed" +file/)
  })

  test('MILLRACE_CONFIG names the file too; a flag names it more strongly', async () => {
    const env = { MILLRACE_CONFIG: file('one.yaml', 'logLevel: warn\n') }
    expect((await settings([], { env })).get('logLevel')).toMatchObject({ value: 'warn' })
    const other = file('two.yaml', 'logLevel: error\n')
    expect((await settings(['--config', other], { env })).get('logLevel')).toMatchObject({ value: 'error' })
  })

  test('check names every fault and exits with 2', async () => {
    expect(await inProcess(['config', 'check'])).toMatchObject({ code: 0, stdout: 'the configuration is valid\n' })
    const config = file('faults.yaml', 'lsten: {}\nlogLevel: loud\n')
    const checked = await inProcess(['config', 'check', '--config', config, '--json'], {
      env: { MILLRACE_DTA_DIR: 'x' },
    })
    expect(checked).toMatchObject({ code: 2, stdout: '' })
    expect(errorOf(checked)).toMatchObject({
      code: 'CONFIG_INVALID',
      details: {
        faults: [
          'lsten: unknown; is listen meant?',
          'MILLRACE_DTA_DIR: unknown; is MILLRACE_DATA_DIR meant?',
          expect.stringMatching(/^logLevel: /),
        ],
      },
    })
    expect(await inProcess(['config', 'check', '--config', join(folder, 'none.yaml')])).toMatchObject({ code: 2 })
  })
})

test('functions: made of a file, called, changed, their logs, deleted', async () => {
  const path = file(
    'greet.js',
    "exports.greet = async ({ name }) => { console.log('for', name); return process.env.WORD + name }",
  )
  const made = await json(
    'functions',
    'create',
    'greet',
    '--path',
    path,
    '--handler',
    'greet',
    '--env',
    'WORD=hello ',
    '--timeout',
    '60000',
  )
  expect(made).toMatchObject({ name: 'greet', handler: 'greet.greet', settings: { environment: { WORD: 'hello ' } } })
  const event = file('event.json', '{"name":"file"}')
  const called = await run(['functions', 'invoke', 'greet', '--payload', `@${event}`])
  expect({ ...called, stderr: '' }).toEqual({ code: 0, stdout: '"hello file"\n', stderr: '' })
  expect(called.stderr).toContain('for file')
  file('greet.js', "exports.greet = async () => 'of the changed file'")
  await json('functions', 'update', 'greet', '--description', 'its settings alone')
  expect((await run(['functions', 'invoke', 'greet'])).stdout).toBe('"hello undefined"\n')
  expect(await json('functions', 'update', 'greet')).toMatchObject({ settings: { timeoutMs: 60_000 } })
  expect((await run(['functions', 'invoke', 'greet'])).stdout).toBe('"of the changed file"\n')
  await json('functions', 'update', 'greet', '--handler', 'nothing')
  const failed = await run(['functions', 'invoke', 'greet', '--json'])
  expect([failed.code, JSON.parse(failed.stdout)]).toEqual([1, expect.objectContaining({ functionError: 'Unhandled' })])
  const logs = await run(['functions', 'logs', 'greet', '--json'])
  const lines = logs.stdout.trimEnd().split('\n')
  expect(lines.map((line) => (JSON.parse(line) as { line: string }).line)).toContainEqual(
    expect.stringMatching(/\tINFO\tfor file$/),
  )
  expect(await json('functions', 'delete', 'greet')).toEqual({ deleted: 'greet' })
  const gone = await run(['functions', 'logs', 'greet', '--json'])
  expect([gone.code, errorOf(gone).code]).toEqual([1, 'FUNCTION_NOT_FOUND'])
})
