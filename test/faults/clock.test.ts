/** The wall clock of a real daemon jumps by hours and days, forward and back, while it runs and while it is stopped. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { compileShim, ShimClock, shimEnvironment } from '../power/shim.js'
import { temporaryFolder } from '../temporary-folder.js'

const library = compileShim()
const hour = 3_600_000
const day = 24 * hour
/** Far above what a test takes, far below a jump. */
const slack = 30 * 60_000

interface Record {
  readonly sequence: number
  readonly commitTime: string | number
}

describe.skipIf(!library)('a clock that jumps', () => {
  it('moves no commit time, raises the alarm, and is believed when a person says so', async () => {
    ensureBuilt()
    const folder = temporaryFolder()
    const root = join(folder, 'root')
    mkdirSync(root)
    const clock = new ShimClock(join(folder, 'clock'))
    const env = { ...shimEnvironment(library as string, root, join(folder, 'journal')), ...clock.environment }
    const data = join(root, 'data')
    let daemon = await DaemonProcess.start({ data, env })
    await daemon.v1('POST', 'streams', { name: 'clicks' })
    const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/clicks/shards')

    /** Commits a record; the time of its commit. */
    const commitTime = async (): Promise<number> => {
      const { placed } = await daemon.v1<{ placed: { firstSequence: number }[] }>('POST', 'streams/clicks/records', {
        records: [{ key: 'k', value: 1 }],
      })
      const query = `shard=${shards[0]!.id}&from=${placed[0]!.firstSequence}`
      const { records } = await daemon.v1<{ records: Record[] }>('GET', `streams/clicks/records?${query}`)
      return new Date(records[0]!.commitTime).getTime()
    }
    const alarm = async () => (await daemon.v1<{ clockAlarm?: string }>('GET', 'status')).clockAlarm
    const times: number[] = []
    const expectNear = (time: number, wanted: number) => {
      expect(time).toBeGreaterThanOrEqual(times.at(-1) ?? 0)
      expect(Math.abs(time - wanted)).toBeLessThan(slack)
      times.push(time)
    }

    expectNear(await commitTime(), Date.now())
    for (const jump of [3 * hour, 5 * day, -2 * hour, -40 * day]) {
      clock.offBy(jump)
      expectNear(await commitTime(), Date.now())
      expect(await alarm(), `after ${jump} ms`).toBe('jumped')
      clock.offBy(0)
      expectNear(await commitTime(), Date.now())
      expect(await alarm()).toBeUndefined()
    }

    // A stop of three days: the time is believed, but nothing may go for its age yet.
    await daemon.kill()
    clock.offBy(3 * day)
    daemon = await DaemonProcess.start({ data, env })
    expect(await alarm()).toBe('aheadAtStart')
    expectNear(await commitTime(), Date.now() + 3 * day)

    // Back at a start: commit time stands where it was until a person confirms, and then still does not go back.
    await daemon.kill()
    clock.offBy(0)
    daemon = await DaemonProcess.start({ data, env })
    expectNear(await commitTime(), Date.now() + 3 * day)
    expect(await alarm()).toBe('jumped')
    await daemon.v1('POST', 'clock/confirm', {})
    expectNear(await commitTime(), Date.now() + 3 * day)
    expect(await alarm()).toBeUndefined()
    await daemon.kill()
  })
})
