import { expect, it } from 'vitest'
import { DaemonProcess, readStream } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { createTable, LedgerOfWrites } from './ledger-of-writes.js'

const kills = Number(process.env.MILLRACE_TEST_KILLS ?? (process.env.MILLRACE_LONG ? 200 : 12))

it(`kill -9 under load, ${kills} times: no acknowledged write is lost and no row is without its record`, {
  timeout: 1_800_000,
}, async () => {
  const data = temporaryFolder()
  const ledger = new LedgerOfWrites(Number(process.env.MILLRACE_TEST_SEED ?? Date.now()))
  let daemon = await DaemonProcess.start({ data })
  const streamArn = await createTable(daemon)
  for (let round = 0; round < kills; round++) {
    const writing = ledger.writeUntilGone(daemon)
    await new Promise((resolve) => setTimeout(resolve, 30 + ledger.random() * 250))
    await daemon.kill()
    await writing
    daemon = await DaemonProcess.start({ data })
    expect(await ledger.check(daemon)).toEqual([])
    // Shards come and go under the load too.
    if (round % 8 === 3) await splitSomething(daemon)
  }
  expect(ledger.checkChain(await readStream(daemon, streamArn))).toEqual([])
  expect(ledger.acknowledgedWrites).toBeGreaterThan(kills)
  expect(await daemon.stop()).toBe(0)
})

async function splitSomething(daemon: DaemonProcess): Promise<void> {
  const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>('GET', 'streams/table:faults/shards')
  const open = shards.find((shard) => shard.state === 'open')!
  await daemon.v1('POST', `streams/table:faults/shards/${open.id}/split`, {})
}
