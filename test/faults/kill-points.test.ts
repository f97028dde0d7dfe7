/**
 * kill -9 just where it might hurt: the daemon kills itself at a named point of its code (src/runtime/kill-point.ts), under
 * a load that reaches all of them. Afterwards what was acknowledged is compared with what is there.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { killPoints } from '../../src/runtime/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, readStream } from '../daemon-process.js'
import { HttpServer } from '../pipelines/http-server.js'
import { temporaryFolder } from '../temporary-folder.js'
import { GroupLoad } from './group-load.js'
import { createTable, LedgerOfWrites, tableName } from './ledger-of-writes.js'
import { LedgerOfAppends, loadUntilGone } from './load.js'

/** A quarter of the points, other ones with each seed; `npm run test:long` comes to each of them many times. */
const cyclesShort = Math.ceil(killPoints.length / 4)
const cycles = Number(process.env.MILLRACE_TEST_KILLS ?? (process.env.MILLRACE_LONG ? 500 : cyclesShort))
const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now())
/** How long a point may take to be passed; far more than any needs, on a machine that is busy with other work, too. */
const reachedWithinMs = 180_000

it(`kill -9 at each of ${killPoints.length} named points, ${cycles} times (seed ${seed}): nothing acknowledged is lost`, {
  timeout: 3_600_000,
}, async () => {
  ensureBuilt()
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const backups = join(folder, 'backups')
  mkdirSync(backups)
  const writes = new LedgerOfWrites(seed)
  const appends = new LedgerOfAppends()
  const group = new GroupLoad()
  let daemon = await DaemonProcess.start({ data })
  const streamArn = await createTable(daemon)
  await appends.create(daemon)
  await group.create(daemon)
  const outside = await HttpServer.start()
  const module = join(folder, 'lines.ts')
  writeFileSync(
    module,
    `import { file, http, pipeline, table } from 'millrace'\nexport default pipeline('lines').from(table('${tableName}')).to(file('lines.ndjson', (change) => change.sequence)).to(file('rolled/lines.ndjson', (change) => change.sequence, { roll: { bytesMax: 64 } })).to(http('${outside.url}', { body: (change) => change.sequence }), 'outside')`,
  )
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(module) })
  const passing = join(folder, 'passing.ts')
  writeFileSync(
    passing,
    `import { pipeline, stream } from 'millrace'\nexport default pipeline('passing').from(stream('clicks')).filter(() => false).to(stream('clicks', () => ({ key: 'x', value: 1 })))`,
  )
  const bundle = await bundleModule(passing)
  expect(await daemon.stop()).toBe(0)

  for (let cycle = 0; cycle < cycles; cycle++) {
    const point = killPoints[(seed + cycle) % killPoints.length]!
    const count = /^(open|close):/.test(point)
      ? 1
      : 1 + Math.floor(writes.random() * (process.env.MILLRACE_LONG ? 4 : 2))
    await killedAt(point, count, cycle)
    daemon = await DaemonProcess.start({ data })
    expect(await writes.check(daemon), point).toEqual([])
    if (cycle % 25 === 24) expect(await appends.check(daemon), point).toEqual([])
    await daemon.kill()
  }

  daemon = await DaemonProcess.start({ data })
  await group.finish(daemon)
  expect(await group.check(daemon)).toEqual([])
  expect(await appends.check(daemon)).toEqual([])
  const records = await readStream(daemon, streamArn)
  expect(writes.checkChain(records)).toEqual([])
  while ((await daemon.v1<{ lag: number }>('GET', 'groups/pipeline:lines')).lag > 0)
    await new Promise((resolve) => setTimeout(resolve, 20))
  const lines = readFileSync(join(data, 'files', 'lines.ndjson'), 'utf8')
    .trim()
    .split('\n')
  expect(lines).toEqual(records.map((record) => String(Number(record.dynamodb.SequenceNumber.slice(1)))))
  const rolled = readdirSync(join(data, 'files', 'rolled')).sort()
  expect(rolled.map((name) => readFileSync(join(data, 'files', 'rolled', name), 'utf8')).join('')).toBe(
    lines.map((line) => `${line}\n`).join(''),
  )
  while ((await daemon.v1<{ lag: number }>('GET', 'groups/outbox:lines:outside')).lag > 0)
    await new Promise((resolve) => setTimeout(resolve, 20))
  const delivered = new Map(outside.all.map(({ key, body }) => [key, body]))
  expect([...delivered.values()].flatMap((body) => JSON.parse(body) as number[]).map(String)).toEqual(lines)
  await outside.close()
  await daemon.kill()
  console.log(
    `${cycles} kills: ${writes.acknowledgedWrites} writes and ${appends.acknowledgedRecords} records acknowledged, all there`,
  )

  /** Resolves when the daemon has killed itself there; fails when it never came to that place. */
  async function killedAt(point: string, count: number, cycle: number): Promise<void> {
    const env = {
      MILLRACE_TEST_KILL_AT: `${point}:${count}`,
      MILLRACE_LOG_LEVEL: 'silent',
      // Streams that were deleted go at once: what is trimmed is theirs.
      MILLRACE_RETENTION_EVERY_MS: '50',
      MILLRACE_RETENTION_DELETED_MS: '1',
    }
    const started = await DaemonProcess.start({ data, env }).catch((error: Error) => error)
    if (started instanceof Error) {
      expect(started.message, point).toContain('ended with null')
      return
    }
    const end = setTimeout(() => started.child.kill('SIGTERM'), point.startsWith('close:') ? 300 : reachedWithinMs)
    await loadUntilGone(started, { writes, appends, group, bundle, backups })
    await started.exited
    clearTimeout(end)
    expect(started.child.signalCode, `cycle ${cycle}: the point ${point} was not passed ${count} times`).toBe('SIGKILL')
  }
})
