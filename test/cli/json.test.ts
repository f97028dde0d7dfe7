import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { inProcess } from './in-process.js'
import { type Finished, millrace } from './millrace.js'

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

/** The first command of each kind in a process of its own. */
const started = new Set<string>()
const run = (args: readonly string[]): Promise<Finished> => {
  const whole = [...args, '--url', daemon.url]
  if (started.has(args[0]!)) return inProcess(whole, { cwd: folder })
  started.add(args[0]!)
  return millrace(whole, { cwd: folder })
}

/** What a script reads: one JSON document on standard output, nothing on standard error, exit code 0. */
async function json<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await run([...args, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  return JSON.parse(stdout) as T
}

/** Each command that speaks to a daemon, in an order in which each finds what it needs. */
const spoken: readonly { readonly args: readonly string[]; readonly says: unknown }[] = [
  { args: ['status'], says: { state: 'ready', tables: 1 } },
  { args: ['tables', 'list'], says: { tables: [{ name: 'things' }] } },
  { args: ['tables', 'show', 'things'], says: { name: 'things' } },
  { args: ['tables', 'replicas', 'things'], says: { replicas: [], sources: [] } },
  { args: ['tables', 'conflicts', 'things'], says: { conflicts: [] } },
  { args: ['search', 'create', 'words', '--table', 'things', '--fields', 'title'], says: { name: 'words' } },
  { args: ['search', 'list'], says: { indexes: [{ name: 'words' }] } },
  { args: ['search', 'show', 'words'], says: { name: 'words', table: 'things' } },
  { args: ['search', 'rebuild', 'words'], says: { name: 'words' } },
  { args: ['search', 'query', 'words', 'hello'], says: { index: 'words', total: 0, hits: [] } },
  { args: ['search', 'delete', 'words'], says: { deleted: 'words' } },
  { args: ['functions', 'create', 'answer', '--path', 'FUNCTION'], says: { name: 'answer' } },
  { args: ['functions', 'list'], says: { functions: [{ name: 'answer' }] } },
  { args: ['functions', 'show', 'answer'], says: { name: 'answer' } },
  { args: ['functions', 'update', 'answer', '--timeout', '4000'], says: { settings: { timeoutMs: 4000 } } },
  { args: ['functions', 'invoke', 'answer'], says: { payload: 'done' } },
  { args: ['functions', 'trigger', 'answer', '--table', 'things'], says: { function: 'answer', table: 'things' } },
  { args: ['functions', 'mappings'], says: { mappings: [{ function: 'answer' }] } },
  { args: ['functions', 'change-trigger', 'MAPPING', '--batch-size', '5'], says: { function: 'answer' } },
  { args: ['functions', 'pause-trigger', 'MAPPING'], says: { function: 'answer' } },
  { args: ['functions', 'resume-trigger', 'MAPPING'], says: { function: 'answer' } },
  { args: ['functions', 'untrigger', 'MAPPING'], says: { deleted: expect.any(String) } },
  { args: ['functions', 'delete', 'answer'], says: { deleted: 'answer' } },
  { args: ['streams', 'create', 'source'], says: { name: 'source', open: 1 } },
  {
    args: ['streams', 'list'],
    says: { streams: expect.arrayContaining([expect.objectContaining({ name: 'source' })]) },
  },
  { args: ['streams', 'show', 'table:things'], says: { name: 'table:things', kind: 'table' } },
  {
    args: ['streams', 'set', 'source', 'retention.ms=86400000'],
    says: { stream: { name: 'source', retention: { ms: 86_400_000 } } },
  },
  { args: ['shards', 'list', 'source'], says: { shards: [{ state: 'open' }] } },
  { args: ['append', 'source', 'k', '1'], says: { appended: 1 } },
  { args: ['pipelines', 'check', 'PIPELINE'], says: { version: 2, name: 'copy' } },
  { args: ['pipelines', 'diff', 'PIPELINE'], says: { name: 'copy', isDeployed: false, changes: [{}, {}, {}] } },
  { args: ['pipelines', 'deploy', 'PIPELINE'], says: { name: 'copy' } },
  { args: ['pipelines', 'list'], says: { pipelines: [{ name: 'copy' }] } },
  { args: ['pipelines', 'show', 'copy'], says: { name: 'copy' } },
  { args: ['pipelines', 'state', 'copy', 'k'], says: { state: [] } },
  { args: ['pipelines', 'pause', 'copy'], says: { name: 'copy', state: 'paused' } },
  { args: ['pipelines', 'resume', 'copy'], says: { name: 'copy' } },
  { args: ['pipelines', 'deploy', 'PIPELINE', '--shadow'], says: { name: 'copy.shadow', shadow: { of: 'copy' } } },
  { args: ['pipelines', 'swap', 'copy'], says: { name: 'copy', revision: 2 } },
  { args: ['pipelines', 'run', 'copy'], says: { name: 'copy.run', state: 'finished' } },
  { args: ['parked', 'list'], says: { parked: [], more: 0 } },
  { args: ['parked', 'show', '--pipeline', 'copy'], says: { parked: [], more: 0 } },
  { args: ['parked', 'retry', '--pipeline', 'copy'], says: { retried: 0 } },
  { args: ['parked', 'drop', '--pipeline', 'copy', '--all'], says: { dropped: 0 } },
  {
    args: [
      'bridges',
      'create',
      'away',
      '--source',
      'source',
      '--brokers',
      '127.0.0.1:1',
      '--partitions',
      '1',
      '--header',
      'a=b',
    ],
    says: { name: 'away', source: 'source' },
  },
  { args: ['bridges', 'list'], says: { bridges: [{ name: 'away' }] } },
  { args: ['bridges', 'show', 'away'], says: { name: 'away' } },
  {
    args: ['groups', 'list'],
    says: { groups: expect.arrayContaining([expect.objectContaining({ name: 'pipeline:copy', stream: 'source' })]) },
  },
  { args: ['groups', 'show', 'bridge:away'], says: { name: 'bridge:away', stream: 'source' } },
  { args: ['bridges', 'pause', 'away'], says: { name: 'away', state: { kind: 'paused' } } },
  { args: ['bridges', 'seek', 'away', '--to', 'oldest'], says: { name: 'away', state: { kind: 'paused' } } },
  { args: ['bridges', 'converter', 'away', '--remove', '--remove-schema'], says: { name: 'away' } },
  { args: ['bridges', 'resume', 'away'], says: { name: 'away' } },
  {
    args: ['groups', 'create', 'mine', '--stream', 'source', '--start', '2026-01-01T00:00:00Z', '--hold'],
    says: { name: 'mine', kind: 'client', hold: true },
  },
  { args: ['groups', 'seek', 'mine', '--to', '1'], says: { name: 'mine', positions: [{}] } },
  { args: ['groups', 'delete', 'mine'], says: { deleted: 'mine' } },
  { args: ['bridges', 'delete', 'away'], says: { deleted: 'away' } },
  { args: ['pipelines', 'delete', 'copy'], says: { deleted: 'copy' } },
  { args: ['shards', 'split', 'source', 'SHARD'], says: { parent: { state: 'sealed' }, children: [{}, {}] } },
  { args: ['shards', 'merge', 'source', 'LEFT', 'RIGHT'], says: { parents: [{}, {}], child: { state: 'open' } } },
  { args: ['shards', 'history', 'source'], says: { decisions: [{ kind: 'merge' }, { kind: 'split' }] } },
  { args: ['shards', 'top', 'source', '--sample', '1'], says: { stream: 'source', shards: [{ load: 0 }] } },
  { args: ['streams', 'set', 'source', 'shardsMin=2'], says: { policy: { shardsMin: 2 } } },
  { args: ['streams', 'delete', 'source'], says: { deleted: 'source' } },
  { args: ['config', 'show'], says: { settings: expect.any(Array) } },
  { args: ['config', 'check'], says: { valid: true } },
]

describe('--json', () => {
  test('every command gives one JSON document', async () => {
    const pipeline = file(
      'copy.ts',
      `import { pipeline, stream } from 'millrace'
       export default pipeline('copy')
         .from(stream<number>('source'))
         .filter((record) => record.value > 1000)
         .to(stream('source', (record) => ({ key: record.key, value: record.value })))`,
    )
    const handler = file('answer.js', "exports.handler = async () => 'done'")
    for (const { args, says } of spoken) {
      const words: Record<string, string> = { PIPELINE: pipeline, FUNCTION: handler }
      if (args.includes('MAPPING')) {
        const { mappings } = await json<{ mappings: { id: string }[] }>('functions', 'mappings')
        words.MAPPING = String(mappings[0]?.id)
      }
      if (args.includes('SHARD') || args.includes('LEFT')) {
        const { shards } = await json<{ shards: { id: number }[] }>('shards', 'list', 'source')
        for (const [i, word] of ['SHARD', 'LEFT', 'RIGHT'].entries()) words[word] = String(shards[i]?.id)
      }
      // An index is built behind the answer to its making.
      if (args[1] === 'query')
        await expect.poll(() => daemon.v1('GET', `search/${args[2]}`)).toMatchObject({ state: 'ready' })
      const given = args.map((word) => words[word] ?? word)
      expect(await json(...given), given.join(' ')).toMatchObject(says as object)
    }
  })

  test('no command is forgotten here', async () => {
    const all = leavesOf(await buildProgram()).sort()
    // `serve` prints its line, `tail`, `export` and `functions logs` what they follow, whatever is asked for; the others have
    // tests of their own.
    const named = [...spoken.map(({ args }) => all.find((name) => ` ${args.join(' ')} `.startsWith(` ${name} `))!)]
    const others = ['serve', 'tail', 'export', 'import', 'backup', 'restore', 'demo', 'functions logs', 'tables verify']
    const benches = ['bench shard', 'bench stream', 'bench pipeline']
    expect([...new Set([...named, ...others, ...benches])].sort()).toEqual(all)
  })

  test.each([
    { args: ['streams', 'show', 'none'], code: 'NOT_FOUND' },
    { args: ['streams', 'create', 'not a name'], code: 'BAD_REQUEST' },
    { args: ['tables', 'show', 'none'], code: 'NOT_FOUND' },
    { args: ['shards', 'split', 'table:things', '999'], code: 'NOT_FOUND' },
    { args: ['append', 'table:things', 'k', '1'], code: 'CONFLICT' },
    { args: ['append', 'none', '--file', '/none'], code: 'NOT_FOUND' },
    { args: ['tail', 'none'], code: 'NOT_FOUND' },
    { args: ['groups', 'show', 'none'], code: 'NOT_FOUND' },
    { args: ['groups', 'create', 'g', '--stream', 'none'], code: 'NOT_FOUND' },
    { args: ['groups', 'seek', 'none', '--to', 'newest'], code: 'NOT_FOUND' },
    { args: ['pipelines', 'deploy', '/none.ts'], code: 'MODULE_INVALID' },
    { args: ['pipelines', 'pause', 'none'], code: 'NOT_FOUND' },
    { args: ['pipelines', 'resume', 'none'], code: 'NOT_FOUND' },
    { args: ['pipelines', 'swap', 'none'], code: 'NOT_FOUND' },
    { args: ['pipelines', 'run', 'none'], code: 'NOT_FOUND' },
    { args: ['pipelines', 'delete', 'none'], code: 'NOT_FOUND' },
    { args: ['parked', 'retry', '--pipeline', 'none'], code: 'NOT_FOUND' },
    { args: ['bridges', 'show', 'none'], code: 'NOT_FOUND' },
  ])('$args fails with $code', async ({ args, code }) => {
    const failed = await run([...args, '--json'])
    expect({ code: failed.code, stdout: failed.stdout }).toEqual({ code: 1, stdout: '' })
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { code } })
  })
})

function leavesOf(command: Command, prefix = ''): string[] {
  return command.commands.flatMap((each) => {
    const name = `${prefix}${each.name()}`
    return each.commands.length === 0 ? [name] : leavesOf(each, `${name} `)
  })
}
