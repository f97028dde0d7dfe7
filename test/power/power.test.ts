/**
 * Power failures: kill -9 keeps the page cache, so a build that never syncs would pass the kill test. Here the daemon is
 * killed under the shim and goes on with what a disk would hold: the store, the mark and the files of sinks.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, readStream } from '../daemon-process.js'
import { createTable, LedgerOfWrites, tableName } from '../faults/ledger-of-writes.js'
import { temporaryFolder } from '../temporary-folder.js'
import { durableImage, lookBefore } from './durable-image.js'
import { compileShim, shimEnvironment } from './shim.js'

const library = compileShim()
const failures = Number(process.env.MILLRACE_TEST_POWER_FAILURES ?? (process.env.MILLRACE_LONG ? 200 : 12))
const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now())

/** One life of the daemon after another, each on what the disk held when the power of the one before failed. */
class Machine {
  readonly #folder = temporaryFolder()
  readonly #env: Readonly<Record<string, string>>
  #generation = 0
  #before: ReturnType<typeof lookBefore> | undefined
  daemon!: DaemonProcess

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#env = env
    mkdirSync(this.root)
  }

  get root(): string {
    return join(this.#folder, `disk-${this.#generation}`)
  }

  get data(): string {
    return join(this.root, 'data')
  }

  get #journal(): string {
    return join(this.#folder, `journal-${this.#generation}`)
  }

  async powerOn(): Promise<DaemonProcess> {
    this.#before = lookBefore(this.root)
    const env = { ...this.#env, ...shimEnvironment(library as string, this.root, this.#journal) }
    this.daemon = await DaemonProcess.start({ data: this.data, env })
    return this.daemon
  }

  async powerFails(random: () => number): Promise<void> {
    await this.daemon.kill()
    const [before, journal, old] = [this.#before!, this.#journal, this.root]
    this.#generation++
    durableImage(before, journal, this.root, random)
    rmSync(old, { recursive: true })
    rmSync(journal)
  }
}

async function live(ledger: LedgerOfWrites, machine: Machine): Promise<void> {
  const writing = ledger.writeUntilGone(machine.daemon)
  await new Promise((resolve) => setTimeout(resolve, 30 + ledger.random() * 200))
  await machine.powerFails(() => ledger.random())
  await writing
  await machine.powerOn()
}

describe.skipIf(!library)('a power failure', () => {
  it(`${failures} times under load (seed ${seed}): nothing acknowledged is lost, and each change is one line of a sink's file`, {
    timeout: 900_000,
  }, async () => {
    ensureBuilt()
    const ledger = new LedgerOfWrites(seed)
    const machine = new Machine({ MILLRACE_LOG_LEVEL: 'error' })
    await machine.powerOn()
    const streamArn = await createTable(machine.daemon)
    const folder = temporaryFolder()
    const module = join(folder, 'lines.ts')
    writeFileSync(
      module,
      `import { file, pipeline, table } from 'millrace'\nexport default pipeline('lines').from(table('${tableName}')).to(file('lines.ndjson', (change) => change.sequence))`,
    )
    await machine.daemon.v1('POST', 'pipelines', { bundle: await bundleModule(module) })
    for (let failure = 0; failure < failures; failure++) {
      await live(ledger, machine)
      expect(await ledger.check(machine.daemon)).toEqual([])
    }
    const records = await readStream(machine.daemon, streamArn)
    expect(ledger.checkChain(records)).toEqual([])
    const isCaughtUp = async () => {
      const { state } = await machine.daemon.v1<{ state: string }>('GET', 'pipelines/lines')
      expect(state).not.toBe('failed')
      return (await machine.daemon.v1<{ lag: number }>('GET', 'groups/pipeline:lines')).lag === 0
    }
    while (!(await isCaughtUp())) await new Promise((resolve) => setTimeout(resolve, 20))
    const lines = readFileSync(join(machine.data, 'files', 'lines.ndjson'), 'utf8')
      .trim()
      .split('\n')
    const sequences = records.map((record) => String(Number(record.dynamodb.SequenceNumber.slice(1))))
    // The pipeline begins at the change log as it stood at the deploy: before the first write.
    expect(lines).toEqual(sequences)
    expect(ledger.acknowledgedWrites).toBeGreaterThan(failures)
    await machine.daemon.kill()
  })

  it('catches a daemon that does not sync', { timeout: 300_000 }, async () => {
    ensureBuilt()
    const ledger = new LedgerOfWrites(seed)
    const machine = new Machine({ MILLRACE_DURABILITY: 'relaxed', MILLRACE_LOG_LEVEL: 'error' })
    await machine.powerOn()
    await createTable(machine.daemon)
    // The table itself is synced by a clean stop; what follows is not.
    expect(await machine.daemon.stop()).toBe(0)
    await machine.powerOn()
    let faults: string[] = []
    for (let failure = 0; failure < 20 && faults.length === 0; failure++) {
      try {
        await live(ledger, machine)
        faults = await ledger.check(machine.daemon)
      } catch (error) {
        // A store that refuses to open has been caught too.
        faults = [String(error)]
      }
    }
    await machine.daemon.kill()
    expect(faults.length).toBeGreaterThan(0)
  })
})
