/** kill -9 where it might hurt a mapping, with a daemon of its own process and a function on its threads. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { mappingPoints } from '../../../src/runtime/index.js'
import { ensureBuilt } from '../../built.js'
import { DaemonProcess } from '../../daemon-process.js'
import { temporaryFolder } from '../../temporary-folder.js'

/** Fails at items that are poisoned, and else notes what it is given. */
const code = `
const { appendFileSync } = require('node:fs')
exports.handler = async ({ Records }) => {
  if (Records.some(({ dynamodb }) => dynamodb.Keys.id.S.startsWith('poison'))) throw new Error('as it was told')
  appendFileSync(process.env.NOTES, Records.map(({ dynamodb }) => dynamodb.Keys.id.S + '\\n').join(''))
}
`

const createTable = (daemon: DaemonProcess): Promise<unknown> =>
  daemon.aws('CreateTable', {
    TableName: 'items',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
  })

it('loses no record, and no document of one that was given up, when the daemon is killed at each place that counts', async () => {
  ensureBuilt()
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'code'))
  writeFileSync(join(folder, 'code', 'index.js'), code)
  writeFileSync(
    join(folder, 'millrace.yaml'),
    JSON.stringify({
      functions: {
        notes: {
          path: './code',
          timeoutMs: 60_000,
          environment: { NOTES: join(folder, 'notes') },
          triggers: [
            {
              table: 'items',
              batchSize: 4,
              bisectBatchOnFunctionError: true,
              maximumRetryAttempts: 0,
              onFailure: 'file:failed.ndjson',
            },
          ],
        },
      },
    }),
  )
  const options = { data: join(folder, 'data'), args: ['--config', join(folder, 'millrace.yaml')] }
  let written = 0
  let isMade = false
  const put = async (daemon: DaemonProcess): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      const id = written % 12 === 7 ? `poison-${written}` : `item-${written}`
      await daemon.aws('PutItem', { TableName: 'items', Item: { id: { S: id } } })
      written++
    }
  }
  for (const point of mappingPoints) {
    const daemon = await DaemonProcess.start({ ...options, env: { MILLRACE_TEST_KILL_AT: `${point}:1` } }).catch(
      (error: Error) => error,
    )
    // With what the kill before it left to do it may come there before it is ready.
    if (daemon instanceof Error) {
      expect(daemon.message, point).toContain('ended with null')
      continue
    }
    onTestFinished(() => daemon.kill())
    if (!isMade) await createTable(daemon)
    isMade = true
    // What a writer was not told of, it writes again.
    const isKilled = daemon.exited.then(() => true)
    await Promise.race([put(daemon).catch(() => isKilled), isKilled])
    await daemon.exited
  }
  const last = await DaemonProcess.start(options)
  onTestFinished(() => last.kill())
  await put(last)
  const ids = Array.from({ length: written }, (_, n) => (n % 12 === 7 ? `poison-${n}` : `item-${n}`))
  const notes = () => new Set(readFileSync(join(folder, 'notes'), 'utf8').trimEnd().split('\n'))
  const given = () =>
    new Set(
      readFileSync(join(options.data, 'files', 'failed.ndjson'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { payload: { Records: { dynamodb: { Keys: { id: { S: string } } } }[] } })
        .flatMap(({ payload }) => payload.Records.map(({ dynamodb }) => dynamodb.Keys.id.S)),
    )
  await vi.waitFor(() => expect(notes().size + given().size).toBe(written), { timeout: 120_000, interval: 100 })
  expect([...notes()].sort()).toEqual(ids.filter((id) => id.startsWith('item')).sort())
  expect([...given()].sort()).toEqual(ids.filter((id) => id.startsWith('poison')).sort())
  const { mappings } = await last.v1<{ mappings: { state: string; isConfigured: boolean }[] }>('GET', 'mappings')
  expect(mappings).toEqual([expect.objectContaining({ state: 'Enabled', isConfigured: true, function: 'notes' })])
  expect(await last.stop()).toBe(0)
})
