import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { feedPoints } from '../../src/runtime/kill-point.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'

// Files as a source of bounded runs: each line once, to the end of the last file.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const input = join(data, 'files', 'in')
let daemon: DaemonProcess

const start = async (killAt?: string) => {
  daemon = await DaemonProcess.start({
    data,
    env: {
      MILLRACE_WORKERS_THREADS: '2',
      MILLRACE_PIPELINES_RETRY_MS: '20',
      MILLRACE_PIPELINES_HANDOVER_BYTES: '4096',
      MILLRACE_LOG_LEVEL: 'silent',
      ...(killAt ? { MILLRACE_TEST_KILL_AT: killAt } : {}),
    },
  })
}

beforeAll(async () => {
  ensureBuilt()
  await start()
  mkdirSync(input, { recursive: true })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly error?: { readonly code: string; readonly message: string }
  readonly bounded: { readonly files?: { readonly read: number; readonly all: number } }
}

let number = 0
function moduleOf(source: string): string {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { file, files, pipeline, stream, table, tumbling } from 'millrace'\n${source}`)
  return path
}
const run = async (source: string, bounds: object = {}) =>
  daemon.v1<View>('POST', 'pipeline-runs', { bundle: await bundleModule(moduleOf(source)), ...bounds })
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const stateOf = (name: string, state: string) => expect.poll(async () => (await show(name)).state).toBe(state)
const write = (name: string, content: string | Buffer) => writeFileSync(join(input, name), content)
const output = (name: string): unknown[] =>
  readFileSync(join(data, 'files', name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)

describe('files as a source', () => {
  it('gives each line of each file in order, with its key and time, and ends', async () => {
    write('b-2.ndjson', '{"id":"z","n":4}')
    write('b-1.ndjson', '\ufeff{"id":"x","n":1,"at":"2026-01-31T12:00:00Z"}\r\n\n{"id":"y","n":2}\n')
    write('b-3.txt', 'is none of it')
    write('last.ndjson', '{"n":5}\n')
    await run(`export default pipeline('lines')
      .from(files<{ n: number }>(['in/b-*.ndjson', 'in/last.ndjson']))
      .to(file('lines.ndjson', ({ key, value }) => ({ key, n: value.n })))`)
    await stateOf('lines.run', 'finished')
    expect(output('lines.ndjson')).toEqual([
      { key: 'in/b-1.ndjson', n: 1 },
      { key: 'in/b-1.ndjson', n: 2 },
      { key: 'in/b-2.ndjson', n: 4 },
      { key: 'in/last.ndjson', n: 5 },
    ])
  })

  it('reads CSV with quotes, line ends within them, a key and a time, and closes windows at the end', async () => {
    write(
      'orders.csv',
      'id,at,"amount, EUR",text\r\na,2026-01-01T00:00:01Z,3,"say ""hello""\nthere"\r\nb,2026-01-01T00:00:02Z,4,\na,1767225612000,5,x',
    )
    await run(`export default pipeline('csv')
      .from(files<Record<string, string>>('in/orders.csv', { format: 'csv', key: 'id', time: 'at' }))
      .to(file('csv.ndjson', ({ key, value, time }) => ({ key, value, time })))
      .eventTime(undefined, { outOfOrder: '1m' })
      .keyByPartition()
      .window(tumbling('10s'))
      .sum('perTenSeconds', ({ value }) => Number(value['amount, EUR']))
      .to(file('windows.ndjson', ({ start, value }, { key }) => ({ key, start, value })))`)
    await stateOf('csv.run', 'finished')
    const at = Date.parse('2026-01-01T00:00:00Z')
    expect(output('csv.ndjson')).toEqual([
      {
        key: 'a',
        value: { id: 'a', at: '2026-01-01T00:00:01Z', 'amount, EUR': '3', text: 'say "hello"\nthere' },
        time: at + 1000,
      },
      { key: 'b', value: { id: 'b', at: '2026-01-01T00:00:02Z', 'amount, EUR': '4', text: '' }, time: at + 2000 },
      { key: 'a', value: { id: 'a', at: '1767225612000', 'amount, EUR': '5', text: 'x' }, time: at + 12_000 },
    ])
    expect(output('windows.ndjson')).toEqual(
      expect.arrayContaining([
        { key: 'a', start: at, value: 3 },
        { key: 'b', start: at, value: 4 },
        { key: 'a', start: at + 10_000, value: 5 },
      ]),
    )
    expect(output('windows.ndjson')).toHaveLength(3)
  })

  const long = 'x'.repeat(300)
  it.each(feedPoints.map((point): [string, number] => [point, point === 'feed:closed' ? 1 : 3]))(
    'reads every line once when the daemon is killed at %s, time %i',
    async (point, count) => {
      const name = point.replace(':', '-')
      let n = 0
      for (let i = 0; i < 4; i++)
        write(
          `${name}-${i}.ndjson`,
          Array.from({ length: 1500 }, () => `${JSON.stringify({ n: n++, long })}\n`).join(''),
        )
      const source = `export default pipeline('${name}').from(files<{ n: number }>('in/${name}-*.ndjson'))
        .to(file('${name}.ndjson', ({ value }) => value.n))
        .keyBy(({ value }) => value.n % 7).count('perRest')
        .to(file('${name}-counts.ndjson', (count, rest) => ({ rest, count })))`
      await daemon.stop()
      await start(`${point}:${count}`)
      const bundle = await bundleModule(moduleOf(source))
      await daemon.v1('POST', 'pipeline-runs', { bundle }).catch(() => {})
      await daemon.exited
      await start()
      // Where it was begun it goes on.
      await daemon.v1('POST', 'pipeline-runs', { bundle })
      await stateOf(`${name}.run`, 'finished')
      expect(output(`${name}.ndjson`)).toEqual(Array.from({ length: n }, (_, i) => i))
      const last = new Map(
        output(`${name}-counts.ndjson`).map((row) => Object.values(row as object) as [number, number]),
      )
      expect([...last.values()].reduce((sum, each) => sum + each, 0)).toBe(n)
    },
  )

  it('takes files whose names end with .csv as CSV, unless another format is named', async () => {
    write('named.csv', 'id,n\na,1\n')
    write('NAMED.CSV', 'id,n\nb,2\n')
    write('lines.csv', '{"id":"c","n":"3"}\n')
    const sink = (name: string) => `.to(file('${name}.ndjson', ({ key, value }) => [key, value.n]))`
    await run(`export default pipeline('named')
      .from(files<{ n: string }>(['in/named.csv', 'in/NAMED.CSV'], { key: 'id' }))${sink('named')}`)
    await stateOf('named.run', 'finished')
    expect(output('named.ndjson')).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
    await run(`export default pipeline('named2')
      .from(files<{ n: string }>('in/lines.csv', { key: 'id', format: 'ndjson' }))${sink('named2')}`)
    await stateOf('named2.run', 'finished')
    expect(output('named2.ndjson')).toEqual([['c', '3']])
  })

  it('stops at a malformed line, names it, and goes on behind the lines before when it is mended', async () => {
    write('bad.ndjson', '{"n":1}\n{"n":2}\n{"n":\n{"n":4}\n')
    const source = `export default pipeline('bad').from(files<{ n: number }>('in/bad.ndjson'))
      .to(file('bad.ndjson', ({ value }) => value.n))`
    await run(source)
    await stateOf('bad.run', 'failed')
    expect((await show('bad.run')).error).toMatchObject({
      code: 'SOURCE_FILE_INVALID',
      message: expect.stringMatching(/^Line 3 of in\/bad\.ndjson is no JSON: /),
    })
    write('bad.ndjson', '{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n')
    await daemon.v1('POST', 'pipelines/bad.run/resume')
    await stateOf('bad.run', 'finished')
    expect(output('bad.ndjson')).toEqual([1, 2, 3, 4])
  })

  it.each<[string, string | Buffer, RegExp, object?]>([
    ['a field too many', 'id,n\na,1\nb,2,3\n', /^Line 3 of .* it has 3 fields, and the first line names 2/],
    ['a key that is missing', 'id,n\n', /./, { key: 'nothing' }],
    ['a time that is none', 'id,n\na,tomorrow\n', /^Line 2 of .* its n is no time/, { time: 'n' }],
    ['a quote that is not closed', 'id,n\na,"1\nb,2\n', /^Line 2 of .* a quote is not closed/],
    ['a column twice', 'id,id\n', /^Line 1 of .* names a column twice/],
    ['bytes that are no text', Buffer.from([0x69, 0x0a, 0xff, 0x0a]), /^Line 2 of .* it is not UTF-8/],
    ['lines that end with a carriage return alone', 'id,n\ra,1\rb,2\r', /^Line 1 of .* lines end with a line feed/],
    // Longer than a piece of 4 MiB, and within the next one, which is twice that.
    [
      'a line above 4 MiB',
      `id,n\na,1\nb,${'2'.repeat(4.5 * 1024 * 1024)}\nc,3\n`,
      /^Line 3 of .* is longer than 4194304/,
    ],
  ])('refuses %s', async (_what, content, message, options = {}) => {
    const name = `refused-${number}`
    write(`${name}.csv`, content)
    await run(`export default pipeline('${name}')
      .from(files('in/${name}.csv', ${JSON.stringify({ format: 'csv', ...options })})).to(file('${name}.ndjson'))`)
    await stateOf(`${name}.run`, 'failed')
    expect((await show(`${name}.run`)).error).toMatchObject({
      code: 'SOURCE_FILE_INVALID',
      message: expect.stringMatching(message) as string,
    })
  })

  it('is refused where it does not end, is not there, lies outside of the folder, or has a range', async () => {
    const source = (path: string) =>
      `export default pipeline('no').from(files(${JSON.stringify(path)})).to(file('no.ndjson'))`
    write('there.ndjson', '1\n')
    const bundle = await bundleModule(moduleOf(source('in/there.ndjson')))
    await expect(daemon.v1('POST', 'pipelines', { bundle })).rejects.toThrow(/PIPELINE_INVALID.*come to an end/)
    await expect(run(source('in/nowhere-*.ndjson'))).rejects.toThrow(/NOT_FOUND.*There is no file/)
    await expect(run(source('../secret'))).rejects.toThrow(/PIPELINE_INVALID.*lies outside/)
    await expect(run(source('/etc/passwd'))).rejects.toThrow(/PIPELINE_INVALID.*lies outside/)
    await expect(run(source('in/there.ndjson'), { from: 5 })).rejects.toThrow(/BAD_REQUEST.*from their beginnings/)
    await expect(
      bundleModule(moduleOf(source('a*/x'))).then((b) => daemon.v1('POST', 'pipeline-runs', { bundle: b })),
    ).rejects.toThrow(/name of a folder/)
    writeFileSync(join(folder, 'outside.ndjson'), '1\n')
    symlinkSync(join(folder, 'outside.ndjson'), join(input, 'link.ndjson'))
    await run(source('in/link.ndjson'))
    await stateOf('no.run', 'failed')
    expect((await show('no.run')).error?.message).toContain('lies outside')
  })

  it('runs from the command line to its end', async () => {
    write('cli.ndjson', '{"n":1}\n{"n":2}\n')
    const path = moduleOf(`export default pipeline('cli').from(files<{ n: number }>('in/cli.ndjson'))
      .to(file('cli.ndjson', ({ value }) => value.n))`)
    const { stdout, code } = await millrace(['pipelines', 'run', path, '--url', daemon.url])
    expect(code).toBe(0)
    expect(stdout).toContain('cli.run has read its files to their ends')
    expect(output('cli.ndjson')).toEqual([1, 2])
  })
})
