import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createEncoder } from '../../src/kafka/encoder.js'
import { type KafkaMessage, messageFormats } from '../../src/kafka/index.js'
import { BodyReader, RecordKind, type Sequence, type Shard, type Stream } from '../../src/log/index.js'
import type { BridgeMessage, Change } from '../../src/operators/index.js'
import { planOf } from '../../src/operators/plan/index.js'
import { decodeChange, encodeChange } from '../../src/tables/index.js'
import { checkItem } from '../../src/tables/values/check.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { MemoryLog, newRecord } from '../kafka/memory.js'
import { PlanRunner } from '../operators/plan-runner.js'
import { temporaryFolder } from '../temporary-folder.js'

const page = readFileSync(fileURLToPath(new URL('../../docs/kafka.md', import.meta.url)), 'utf8')

function block(info: string): string {
  const found = new RegExp(`^\`\`\`${info}\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)
  if (!found) throw new Error(`docs/kafka.md has no block ${info}`)
  return found[1] as string
}

const keys = { ListId: { N: '2' }, TaskId: { S: '1_progress' } }
const before = { ...keys, Done: { BOOL: false } }
const after = { ...keys, Done: { BOOL: true } }

const bytesOf = (item: object) => ({ json: Buffer.from(JSON.stringify(item)), size: checkItem(item).size })

function message(format: (typeof messageFormats)[number], images: 'dynamodb' | 'plain'): KafkaMessage {
  const log = new MemoryLog('table', 'todoListTask')
  const encode = createEncoder({
    stream: log.streams()[0] as Stream,
    sourceName: 'todoListTask',
    format,
    images,
    tombstones: true,
    origin: { version: '0.1.0', region: 'us-east-1', epochOf: () => 1, eventIdPrefix: () => '5f0c1d3b8a77e2c4' },
    decodeChange,
    bodies: () => new BodyReader(),
  })
  const record = {
    ...newRecord('k', encodeChange(bytesOf(keys), bytesOf(after), bytesOf(before)), RecordKind.modify),
    time: 1_767_225_600_000,
    sequence: 42 as Sequence,
    commitTime: 1_767_225_600_123,
  }
  return encode(record, log.shards()[0] as Shard, 8)[0] as KafkaMessage
}

const shown = new Map([
  ['envelope', message('envelope', 'dynamodb')],
  ['image-plain', message('image', 'plain')],
  ['dynamodb-streams', message('dynamodb-streams', 'dynamodb')],
  ['cloudevents', message('cloudevents', 'dynamodb')],
  ['cloudevents-binary', message('cloudevents-binary', 'dynamodb')],
])

async function moduleOf(info: string): Promise<Record<string, unknown>> {
  const folder = temporaryFolder()
  const file = join(folder, 'module.ts')
  writeFileSync(file, block(info))
  const bundled = join(folder, 'module.mjs')
  writeFileSync(bundled, await bundleModule(file))
  return (await import(pathToFileURL(bundled).href)) as Record<string, unknown>
}

describe('docs/kafka.md', () => {
  test.each([...shown])('shows the message of the format %s as it is', (format, { value, headers }) => {
    const expected = JSON.parse(String(value)) as unknown
    expect(JSON.parse(block(`json message=${format}`))).toEqual(
      format === 'cloudevents-binary' ? { headers, value: expected } : expected,
    )
  })

  test('shows one of each format', () => {
    for (const format of messageFormats) expect(page).toContain(`json message=${format}`)
  })

  test('has a converter that does what it says', async () => {
    const { key, value, headers } = (await moduleOf('ts converter')) as Record<string, (message: unknown) => unknown>
    const given = (op: BridgeMessage['op']) => ({ op, value: { before, after: op === 'd' ? null : after } })
    expect(['c', 'u', 'd'].map((op) => value?.(given(op as 'c')))).toEqual([
      undefined,
      { done: true, deleted: false },
      { done: false, deleted: true },
    ])
    expect(key?.(given('d'))).toBe('2')
    expect(headers?.(given('d'))).toEqual({ kind: 'deletion' })
  })

  test('has a pipeline that filters before a bridge', async () => {
    const runner = new PlanRunner(planOf((await moduleOf('ts filter')).default))
    const push = (sequence: number, type: 'insert' | 'modify', Done: boolean) => {
      const keys = { ListId: sequence, TaskId: 'a' }
      const item = { ...keys, Done }
      const base = { sequence, keys, time: 0, service: false, new: item }
      const change: Change = type === 'insert' ? { ...base, type } : { ...base, type, old: item }
      return runner.push('todoListTask', change, change.keys, 0)
    }
    await push(1, 'modify', false)
    await push(2, 'modify', true)
    await push(3, 'insert', true)
    await runner.end()
    expect(JSON.parse(JSON.stringify([...runner.results]))).toEqual([
      ['tasks-done', [{ key: '2', value: { list: 2, task: 'a' } }]],
    ])
  })
})
