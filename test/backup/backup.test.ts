import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { copyBackup, readManifest } from '../../src/backup/index.js'
import { ensureBuilt } from '../built.js'
import { inProcess } from '../cli/in-process.js'
import { errorOf, millrace } from '../cli/millrace.js'
import { DaemonProcess, readStream } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(() => ensureBuilt())

async function start(data: string): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({ data, cwd: temporaryFolder() })
  onTestFinished(() => daemon.kill())
  return daemon
}

/** Runs a command that must succeed, and gives what it printed. */
async function json<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await millrace([...args, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as T
}

const pipeline = `import { file, pipeline, stream } from 'millrace'
  export default pipeline('copy')
    .from(stream<number>('clicks'))
    .map((record) => record.value)
    .to(file('copy.ndjson'))`

/** Writes one record and one item at a time until it is told to stop; how many of each were acknowledged. */
function writeUntil(daemon: DaemonProcess, isOver: () => boolean): Promise<{ records: number; items: number }> {
  const one = async (write: (n: number) => Promise<unknown>): Promise<number> => {
    let n = 0
    for (; !isOver(); n++) await write(n)
    return n
  }
  return Promise.all([
    one((n) => daemon.v1('POST', 'streams/clicks/records', { records: [{ key: `k${n % 5}`, value: n }] })),
    one((n) => daemon.aws('PutItem', { TableName: 'things', Item: { id: { S: `i${n}` }, n: { N: String(n) } } })),
  ]).then(([records, items]) => ({ records, items }))
}

const valuesOf = async (url: string): Promise<number[]> => {
  const { stdout } = await millrace(['tail', 'clicks', '--from', 'oldest', '--no-follow', '--url', url])
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { value: number }).value)
}

describe('a backup under load', () => {
  test('holds a moment of everything; what is restored goes on under a higher epoch', async () => {
    const folder = temporaryFolder()
    const daemon = await start(join(folder, 'data'))
    await daemon.v1('POST', 'streams', { name: 'clicks', shards: 2 })
    const { TableDescription } = await daemon.aws<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', {
      TableName: 'things',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    })
    writeFileSync(join(folder, 'copy.ts'), pipeline)
    await json('pipelines', 'deploy', join(folder, 'copy.ts'), '--url', daemon.url)

    let isOver = false
    const writing = writeUntil(daemon, () => isOver)
    const before = (await daemon.v1<{ nextSequence: number }>('GET', 'status')).nextSequence
    const target = join(folder, 'backup')
    const made = await json<{ sequence: number; epoch: number; storeId: string; rows: Record<string, number> }>(
      'backup',
      target,
      '--url',
      daemon.url,
    )
    isOver = true
    const written = await writing
    expect(made.sequence).toBeGreaterThanOrEqual(before - 1)
    expect(made.sequence).toBeGreaterThan(0)
    expect(made.rows).toMatchObject({ stream: 2, table: 1, pipeline: 1 })
    expect(readdirSync(folder)).not.toContain('backup.partial')
    expect(await daemon.stop()).toBe(0)

    const restored = join(folder, 'restored')
    expect(await json('restore', target, '--data', restored)).toMatchObject({ sequence: made.sequence })
    const again = await start(restored)
    const status = await again.v1<{ nextSequence: number }>('GET', 'status')
    expect(status).toMatchObject({ storeId: made.storeId, epoch: made.epoch + 1 })
    expect(status.nextSequence).toBeGreaterThan(made.sequence + 2 ** 29)

    // Every key's records up to some moment, none missing in the middle and none twice; the table and its stream agree.
    const values = (await valuesOf(again.url)).sort((a, b) => a - b)
    expect(values).toEqual(values.map((_, i) => i))
    expect(values.length).toBeLessThanOrEqual(written.records)
    const { Items } = await again.aws<{ Items: { id: { S: string } }[] }>('Scan', { TableName: 'things' })
    const changes = await readStream(again, TableDescription.LatestStreamArn)
    expect(changes.map(({ dynamodb }) => dynamodb.Keys.id!.S).sort()).toEqual(Items.map(({ id }) => id.S).sort())
    expect(Items.length).toBeLessThanOrEqual(written.items)

    // The pipeline goes on where its position stood: the file ends with every value exactly once.
    await again.v1('POST', 'streams/clicks/records', { records: [{ key: 'k', value: -1 }] })
    const path = join(restored, 'files', 'copy.ndjson')
    const lines = () => (existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').map(Number) : [])
    while (!lines().includes(-1)) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(lines().sort((a, b) => a - b)).toEqual([-1, ...values])
    expect(await again.stop()).toBe(0)
  })
})

describe('a backup of a stopped daemon', () => {
  let original: string
  beforeAll(async () => {
    original = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    const { data, backup } = within(original)
    const daemon = await DaemonProcess.start({ data, cwd: original })
    try {
      await daemon.v1('POST', 'streams', { name: 'clicks' })
      await daemon.v1('POST', 'streams/clicks/records', { records: [{ key: 'a', value: 1 }] })
      const locked = await millrace(['backup', backup, '--offline', '--data', data, '--json'])
      expect([locked.code, errorOf(locked).code]).toEqual([1, 'DATA_DIR_LOCKED'])
      expect(await daemon.stop()).toBe(0)
    } finally {
      await daemon.kill()
    }
    await json('backup', backup, '--offline', '--data', data)
  })
  afterAll(() => rmSync(original, { recursive: true, force: true }))

  const within = (folder: string) => ({ folder, data: join(folder, 'data'), backup: join(folder, 'backup') })

  /** A data directory and its backup, for one test. */
  function made(): { folder: string; data: string; backup: string } {
    const copy = within(temporaryFolder())
    cpSync(original, copy.folder, { recursive: true })
    return copy
  }

  test('is one too, is moved as it is, and restores more than once', async () => {
    const { folder, backup } = made()
    cpSync(backup, join(folder, 'moved'), { recursive: true })
    rmSync(backup, { recursive: true })
    for (const name of ['one', 'two']) {
      await json('restore', join(folder, 'moved'), '--data', join(folder, name))
      const daemon = await start(join(folder, name))
      expect(await valuesOf(daemon.url)).toEqual([1])
      expect(await daemon.stop()).toBe(0)
    }
  })

  test('a changed byte, a missing file, an extra one and a broken manifest are named; nothing is restored', async () => {
    const { folder, backup } = made()
    const sst = readdirSync(join(backup, 'store')).find((name) => name.endsWith('.sst'))!
    const faults: [string, string, (copy: string) => void][] = [
      ['BACKUP_DAMAGED', sst, (copy) => flip(join(copy, 'store', sst))],
      ['BACKUP_DAMAGED', sst, (copy) => rmSync(join(copy, 'store', sst))],
      ['BACKUP_DAMAGED', 'store/other.sst', (copy) => writeFileSync(join(copy, 'store', 'other.sst'), 'x')],
      ['BACKUP_DAMAGED', 'BACKUP', (copy) => flip(join(copy, 'BACKUP'))],
      ['NOT_FOUND', 'no backup', (copy) => rmSync(join(copy, 'BACKUP'))],
    ]
    for (const [code, says, spoil] of faults) {
      const copy = join(folder, 'copy')
      cpSync(backup, copy, { recursive: true })
      spoil(copy)
      const target = join(folder, 'target')
      const failed = await inProcess(['restore', copy, '--data', target, '--json'])
      expect([failed.code, errorOf(failed).code]).toEqual([1, code])
      expect(errorOf(failed).message).toContain(says)
      expect(existsSync(target)).toBe(false)
      rmSync(copy, { recursive: true })
    }
  })

  test('a restore that was broken off leaves nothing that opens as a data directory', async () => {
    const { folder, backup } = made()
    const target = join(folder, 'target')
    const early: string[] = []
    const others = readManifest(backup).files.map(({ path }) => path)
    await copyBackup(backup, target, () => {
      // What a kill at this moment would leave.
      if (!existsSync(join(target, 'RESTORED'))) early.push('RESTORED')
      const left = others.filter((path) => !existsSync(join(target, path)))
      if (existsSync(join(target, 'MILLRACE')) && left.length > 0) early.push(...left)
    })
    expect(early).toEqual([])
    expect(others).toContain('MILLRACE')
    rmSync(join(target, 'MILLRACE'))
    const failed = await millrace(['serve', '--data', target, '--port', '0', '--json'])
    expect(failed.stderr).toContain('broken off')
    expect(failed.code).toBe(1)
  })

  test('what another backup is making, or one left that was broken off, is not touched', async () => {
    const { folder, data } = made()
    mkdirSync(join(folder, 'second.partial'))
    writeFileSync(join(folder, 'second.partial', 'theirs'), '')
    const failed = await inProcess(['backup', join(folder, 'second'), '--offline', '--data', data, '--json'])
    expect([failed.code, errorOf(failed).code]).toEqual([1, 'ALREADY_EXISTS'])
    expect(readdirSync(join(folder, 'second.partial'))).toEqual(['theirs'])
    await json('backup', join(folder, 'third'), '--offline', '--data', data)
  })

  test('neither is written over anything', async () => {
    const { folder, data, backup } = made()
    for (const args of [
      ['backup', backup, '--offline', '--data', data],
      ['restore', backup, '--data', data],
    ]) {
      const failed = await inProcess([...args, '--json'])
      expect([failed.code, errorOf(failed).code]).toEqual([1, 'ALREADY_EXISTS'])
    }
    const file = join(folder, 'file')
    writeFileSync(file, '')
    for (const [target, code] of [
      [file, 'ALREADY_EXISTS'],
      [join(file, 'below'), 'IO_FAILED'],
    ] as const) {
      const failed = await inProcess(['restore', backup, '--data', target, '--json'])
      expect([failed.code, errorOf(failed).code]).toEqual([1, code])
    }
    mkdirSync(join(folder, 'empty'))
    await json('restore', backup, '--data', join(folder, 'empty'))
    const inside = await inProcess(['backup', join(data, 'in'), '--offline', '--data', data, '--json'])
    expect(errorOf(inside).code).toBe('BAD_REQUEST')
  })
})

function flip(path: string): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = bytes[at]! ^ 1
  writeFileSync(path, bytes)
}
