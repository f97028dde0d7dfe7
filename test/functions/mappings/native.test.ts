/** Mappings by `/v1/mappings` and by the command, with a function on the daemon's threads. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { ensureBuilt } from '../../built.js'
import { millrace } from '../../cli/millrace.js'
import { serve } from '../../server/serving.js'
import { temporaryFolder } from '../../temporary-folder.js'

it('a mapping is made, shown, changed, counted and deleted', async () => {
  await ensureBuilt()
  const { daemon, url, v1 } = await serve()
  const code = join(temporaryFolder(), 'code')
  mkdirSync(code)
  writeFileSync(join(code, 'index.js'), 'exports.handler = async () => {}')
  await daemon.rooms.functions.create('count', { path: code })
  const aws = (operation: string, input: object) =>
    daemon.rooms.tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
  expect((await v1('POST', 'mappings', { function: 'count', table: 'todo' })).code).toBe('NOT_FOUND')
  await aws('CreateTable', {
    TableName: 'todo',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
  })
  const cli = (...args: string[]) => millrace([...args, '--url', url, '--json'])
  const made = await cli(
    'functions',
    'trigger',
    'count',
    '--table',
    'todo',
    '--batch-size',
    '7',
    '--retries',
    '-1',
    '--bisect',
  )
  expect(made.code).toBe(0)
  const { id } = JSON.parse(made.stdout) as { id: string }
  expect((await v1('POST', 'mappings', { function: 'count', table: 'todo' })).code).toBe('ALREADY_EXISTS')
  expect((await v1('POST', 'mappings', { function: 'count', table: 'todo', size: 1 })).code).toBe('BAD_REQUEST')
  await aws('PutItem', { TableName: 'todo', Item: { id: { S: 'a' } } })
  const shown = async () => (await v1('GET', `mappings/${id}`)).json as Record<string, unknown>
  await vi.waitFor(
    async () => expect(await shown()).toMatchObject({ statistics: { records: 1, lagRecords: 0 } }),
    120_000,
  )
  expect(await shown()).toMatchObject({
    function: 'count',
    table: 'todo',
    state: 'Enabled',
    lastProcessingResult: 'OK',
    batchSize: 7,
    bisectBatchOnFunctionError: true,
    maximumRetryAttempts: -1,
  })
  const metrics = await (await fetch(`${url}/metrics`)).text()
  expect(metrics).toContain(`millrace_mapping_records_total{function="count",mapping="${id}"} 1`)
  expect((await v1('PATCH', `mappings/${id}`, { enabled: false })).status).toBe(200)
  await vi.waitFor(async () => expect(await shown()).toMatchObject({ state: 'Disabled' }), 120_000)
  const listed = await cli('functions', 'mappings', 'count')
  expect(JSON.parse(listed.stdout)).toMatchObject({ mappings: [{ id, state: 'Disabled' }] })
  const refused = await v1('PATCH', `mappings/${id}`, { filterCriteria: { filters: [{ pattern: '{"a":1}' }] } })
  expect([refused.code, refused.text]).toEqual(['BAD_REQUEST', expect.stringContaining('Invalid filter pattern')])
  expect((await v1('DELETE', `mappings/${id}`)).json).toEqual({ deleted: id })
  expect((await v1('GET', `mappings/${id}`)).code).toBe('NOT_FOUND')
})
