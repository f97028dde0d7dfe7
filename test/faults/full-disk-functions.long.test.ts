import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type AwsFailure, DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { indexFaults, scanAll } from './index-agreement.js'
import { mayMountDisks, mountDisk } from './small-disk.js'

const mayMount = mayMountDisks('functions on a full disk')

/** Copies what it is given into a table, notes it outside of the full disk, and throws at poisoned items and at whatever fails. */
const code = `
const { appendFileSync } = require('node:fs')
const { DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb')
const client = new DynamoDBClient({ maxAttempts: 1 })
exports.copies = async ({ Records }) => {
  for (const { dynamodb: { NewImage } } of Records)
    await client.send(new PutItemCommand({ TableName: 'copies', Item: { id: NewImage.id } }))
}
exports.notes = async ({ Records }) => {
  const ids = Records.map(({ dynamodb }) => dynamodb.Keys.id.S)
  if (ids.some((id) => id.endsWith('7'))) throw new Error('as it was told')
  appendFileSync(process.env.NOTES, ids.map((id) => id + '\\n').join(''))
}
exports.echo = async (event) => { console.log('called', JSON.stringify(event)); return event }
`

const isPoisoned = (id: string) => id.endsWith('7')

/** Everything about one daemon on a small disk, with two triggers of a table that has an index. */
class SmallDisk {
  readonly disk = temporaryFolder()
  readonly outside = temporaryFolder()
  readonly data = join(this.disk, 'data')
  readonly filler = join(this.disk, 'filler')
  readonly acknowledged: string[] = []
  readonly #env: Record<string, string>
  daemon!: DaemonProcess

  constructor(freeBytesMin: number) {
    mountDisk(this.disk, 100)
    this.#env = {
      MILLRACE_COMMIT_FREE_BYTES_MIN: String(freeBytesMin),
      MILLRACE_STORE_WRITE_BUFFER_BYTES: String(4 << 20),
      MILLRACE_COMMIT_EFFECT_SET_BYTES_MAX: String(4 << 20),
      MILLRACE_COMMIT_COMMIT_BYTES_MAX: String(4 << 20),
      MILLRACE_LOG_LEVEL: 'error',
    }
    writeFileSync(join(this.outside, 'f.js'), code)
    const settings = { path: './f.js', timeoutMs: 60_000 }
    const notes = { table: 'items', batchSize: 20, maximumRetryAttempts: 0, bisectBatchOnFunctionError: true }
    writeFileSync(
      join(this.outside, 'millrace.yaml'),
      JSON.stringify({
        functionHost: { initMsMax: 60_000 },
        functions: {
          copies: { ...settings, handler: 'copies', triggers: [{ table: 'items', batchSize: 20 }] },
          notes: {
            ...settings,
            handler: 'notes',
            environment: { NOTES: join(this.outside, 'notes') },
            triggers: [{ ...notes, onFailure: 'file:failed.ndjson' }],
          },
          echo: { ...settings, handler: 'echo' },
        },
      }),
    )
  }

  async start(): Promise<void> {
    const args = ['--config', join(this.outside, 'millrace.yaml')]
    this.daemon = await DaemonProcess.start({ data: this.data, env: this.#env, args })
  }

  async createTables(): Promise<void> {
    const text = (AttributeName: string) => ({ AttributeName, AttributeType: 'S' })
    const key = (AttributeName: string) => [{ AttributeName, KeyType: 'HASH' }]
    const billed = { BillingMode: 'PAY_PER_REQUEST' }
    await this.daemon.aws('CreateTable', {
      ...billed,
      TableName: 'copies',
      AttributeDefinitions: [text('id')],
      KeySchema: key('id'),
    })
    await this.daemon.aws('CreateTable', {
      ...billed,
      TableName: 'items',
      AttributeDefinitions: [text('id'), text('kind')],
      KeySchema: key('id'),
      GlobalSecondaryIndexes: [{ IndexName: 'byKind', KeySchema: key('kind'), Projection: { ProjectionType: 'ALL' } }],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    })
    await until(async () => (await this.mappings()).every(({ state }) => state === 'Enabled'))
  }

  async mappings() {
    type Shown = { id: string; function: string; state: string; statistics: { lagRecords: number } }
    const { mappings } = await this.daemon.v1<{ mappings: Shown[] }>('GET', 'mappings')
    return mappings
  }

  /** False: it was refused, as a client may try again. */
  async put(id: string): Promise<boolean> {
    const bytes = { B: randomBytes(30_000).toString('base64') }
    try {
      await this.daemon.aws('PutItem', {
        TableName: 'items',
        Item: { id: { S: id }, kind: { S: id.slice(-1) }, bytes },
      })
    } catch (error) {
      expect(['InternalServerError', 'ServiceUnavailable']).toContain((error as AwsFailure).type)
      return false
    }
    this.acknowledged.push(id)
    return true
  }

  /** Leaves so many bytes free. */
  fill(bytesLeft: number): void {
    const { bavail, bsize } = statfsSync(this.disk)
    writeFileSync(this.filler, Buffer.alloc(bavail * bsize - bytesLeft))
  }

  /** An answer of the Lambda API: its status and the name of its error. */
  async lambda(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const url = `${this.daemon.url}/2015-03-31/${path}`
    const answer = await fetch(url, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    return { status: answer.status, error: answer.headers.get('x-amzn-errortype'), text: await answer.text() }
  }

  invoke(name: string, event: object, type: string) {
    return this.lambda('POST', `functions/${name}/invocations`, event, { 'x-amz-invocation-type': type })
  }

  async state() {
    return (await (await fetch(`${this.daemon.url}/v1/status`)).json()) as { state: string; storageFull: boolean }
  }

  /** Nothing that was acknowledged is missing anywhere, and whoever asks is served. */
  async expectWhole(): Promise<void> {
    await until(async () => (await this.mappings()).every(({ statistics }) => statistics.lagRecords === 0))
    const ids = new Set(this.acknowledged)
    const sorted = (found: Iterable<string>) => [...new Set(found)].filter((id) => ids.has(id)).sort()
    const items = await scanAll(this.daemon, { TableName: 'items', ProjectionExpression: 'id' })
    expect(sorted(items.map(({ id }) => id?.S as string))).toEqual(sorted(ids))
    expect(await indexFaults(this.daemon, 'items', 'byKind', 'kind')).toEqual([])
    const copies = await scanAll(this.daemon, { TableName: 'copies' })
    expect(sorted(copies.map(({ id }) => id?.S as string))).toEqual(sorted(ids))
    const notes = readFileSync(join(this.outside, 'notes'), 'utf8').trimEnd().split('\n')
    expect(sorted(notes)).toEqual(sorted(ids).filter((id) => !isPoisoned(id)))
    // Every line is whole, also of those that were begun when there was no more room.
    const lines = readFileSync(join(this.data, 'files', 'failed.ndjson'), 'utf8')
      .trimEnd()
      .split('\n')
    const failed = lines
      .map((line) => JSON.parse(line) as { payload: { Records: { dynamodb: { Keys: { id: { S: string } } } }[] } })
      .flatMap(({ payload }) => payload.Records.map(({ dynamodb }) => dynamodb.Keys.id.S))
    expect(sorted(failed)).toEqual(sorted(ids).filter(isPoisoned))
  }
}

describe.skipIf(!mayMount)('functions, their triggers and an index on a full disk', () => {
  it('with a reserve: nothing is lost, what needs room is refused with a name, what gives room back is not', async () => {
    ensureBuilt()
    const small = new SmallDisk(24 << 20)
    await small.start()
    await small.createTables()
    for (let i = 0; i < 30; i++) expect(await small.put(`item ${i}`)).toBe(true)
    expect((await small.invoke('echo', { n: 1 }, 'RequestResponse')).text).toBe('{"n":1}')
    small.fill(30 << 20)
    for (let i = 30; await small.put(`item ${i}`); i++) expect(i).toBeLessThan(2000)
    expect(await small.state()).toMatchObject({ state: 'ready', storageFull: true })

    // Functions that are there are called; what would be written down for later is refused.
    expect((await small.invoke('echo', { n: 2 }, 'RequestResponse')).text).toBe('{"n":2}')
    expect(await small.invoke('echo', { n: 3 }, 'Event')).toMatchObject({ status: 503, error: 'ServiceException' })
    await expect(
      small.daemon.v1('POST', 'functions', { name: 'more', path: join(small.outside, 'f.js') }),
    ).rejects.toThrow('STORAGE_FULL')
    // The copies need room, so their trigger waits where it is, and its batches come again.
    await until(async () => {
      const { mappings } = await small.daemon.v1<{ mappings: { statistics: { failures: number } }[] }>(
        'GET',
        'mappings',
      )
      return mappings.some(({ statistics }) => statistics.failures > 0)
    })

    // A kill and a start on a disk that is as full as before.
    await small.daemon.kill()
    await small.start()
    expect((await small.invoke('echo', { n: 4 }, 'RequestResponse')).text).toBe('{"n":4}')
    expect(await small.state()).toMatchObject({ state: 'ready', storageFull: true })

    rmSync(small.filler)
    await until(() => small.put('after'))
    expect(await small.invoke('echo', { n: 5 }, 'Event')).toMatchObject({ status: 202, error: null })
    await until(async () => (await functionLog(small, 'echo')).includes('called {"n":5}'))
    await small.expectWhole()
    expect(await small.daemon.stop()).toBe(0)
  })

  it('without one: the disk takes nothing more, and what was acknowledged reaches every function when there is room', async () => {
    ensureBuilt()
    const small = new SmallDisk(0)
    await small.start()
    await until(() => existsSync(join(small.data, 'ballast')))
    await small.createTables()
    for (let i = 0; i < 30; i++) expect(await small.put(`item ${i}`)).toBe(true)
    small.fill(9 << 20)
    for (let i = 30; await small.put(`item ${i}`); i++) expect(i).toBeLessThan(2000)
    await until(async () => (await small.state()).state === 'ready')
    // Whoever calls a function whose code cannot be laid out is told why.
    const called = await small.invoke('echo', { n: 1 }, 'RequestResponse')
    expect([
      [200, null],
      [503, 'ServiceException'],
    ]).toContainEqual([called.status, called.error])
    for (let i = 0; i < 20; i++) await small.put(`on a full disk ${i}`)
    await small.daemon.kill()
    await small.start()
    const again = await small.invoke('echo', { n: 2 }, 'RequestResponse')
    expect([
      [200, null],
      [503, 'ServiceException'],
    ]).toContainEqual([again.status, again.error])

    rmSync(small.filler)
    await until(() => small.put('after'))
    await until(async () => (await small.invoke('echo', { n: 3 }, 'RequestResponse')).text === '{"n":3}')
    await small.expectWhole()
    expect(await small.daemon.stop()).toBe(0)
  })
})

async function functionLog({ daemon }: SmallDisk, name: string): Promise<string> {
  return (await fetch(`${daemon.url}/v1/functions/${name}/logs`, { headers: { 'x-millrace': '1' } })).text()
}

/** A state that comes by itself; the test's own time bounds the wait. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 50))
}
