import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../src/client/index.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { CuttingProxy } from './cutting-proxy.js'

beforeAll(ensureBuilt)

const kills = Number(process.env.MILLRACE_TEST_KILLS ?? (process.env.MILLRACE_LONG ? 60 : 4))

class Setting {
  readonly data = temporaryFolder()
  readonly proxy = new CuttingProxy()
  daemon!: DaemonProcess
  client!: Client

  static async begin(): Promise<Setting> {
    const setting = new Setting()
    const url = await setting.proxy.listen()
    await setting.start()
    setting.client = connect({ url })
    onTestFinished(async () => {
      setting.proxy.onAnswer = () => 'pass'
      await setting.client.close().catch(() => {})
      setting.proxy.close()
      await setting.daemon.kill()
    })
    return setting
  }

  async start(): Promise<void> {
    const env = { MILLRACE_LOG_LEVEL: 'error', MILLRACE_GROUPS_SESSION_MS: '2000' }
    this.daemon = await DaemonProcess.start({ data: this.data, env })
    this.proxy.target = Number(new URL(this.daemon.url).port)
  }

  async restart(): Promise<void> {
    this.proxy.target = undefined
    await this.daemon.kill()
    await this.start()
  }

  /** Every record of a stream, by key, shard after shard, parents first. */
  async stored(stream: string): Promise<Map<string, number[]>> {
    const { shards } = await this.daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${stream}/shards`)
    const found = new Map<string, number[]>()
    for (const { id } of shards) {
      for (let from: number | undefined; ; ) {
        const query = `shard=${id}&limit=10000${from === undefined ? '' : `&from=${from}`}`
        const page = await this.daemon.v1<{ records: { key: string; value: number }[]; next: number }>(
          'GET',
          `streams/${stream}/records?${query}`,
        )
        if (page.records.length === 0) break
        for (const { key, value } of page.records) found.set(key, [...(found.get(key) ?? []), value])
        from = page.next
      }
    }
    return found
  }

  async split(stream: string): Promise<void> {
    const { shards } = await this.daemon.v1<{ shards: { id: number; state: string }[] }>(
      'GET',
      `streams/${stream}/shards`,
    )
    const open = shards.filter(({ state }) => state === 'open')
    if (open.length < 8) await this.daemon.v1('POST', `streams/${stream}/shards/${open[0]!.id}/split`, {})
  }
}

/** Appends numbers under a few keys until told to stop; every append must succeed in the end. */
function keepAppending(client: Client, stream: string) {
  let isOver = false
  let count = 0
  const expected = new Map<string, number[]>()
  const running = (async () => {
    while (!isOver) {
      const appends: Promise<void>[] = []
      for (let i = 0; i < 20; i++) {
        const key = `k${count % 9}`
        expected.set(key, [...(expected.get(key) ?? []), count])
        appends.push(client.append(stream, { key, value: count++ }))
      }
      await Promise.all(appends)
    }
  })()
  const stop = async () => {
    isOver = true
    await running
    return { expected, count }
  }
  return { stop, count: () => count }
}

const sorted = (found: ReadonlyMap<string, number[]>) => Object.fromEntries([...found].sort())
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('an idempotent producer', () => {
  it('stores once what the daemon stored and could not answer, since it was killed between commit and answer', async () => {
    const setting = await Setting.begin()
    const { client, proxy } = setting
    await client.createStream('s')
    for (let round = 0; round < kills; round++) {
      let killed: Promise<void> | undefined
      // The answer is here, so the commit is durable; the client never sees it.
      proxy.onAnswer = async (request) => {
        if (!request.endsWith('/records')) return 'pass'
        killed ??= setting.restart()
        return 'cut'
      }
      const appended = client.append(
        's',
        [0, 1, 2].map((i) => ({ key: 'k', value: round * 3 + i })),
      )
      while (!killed) await pause(2)
      await killed
      proxy.onAnswer = () => 'pass'
      await appended
    }
    expect((await setting.stored('s')).get('k')).toEqual(Array.from({ length: kills * 3 }, (_, i) => i))
  })

  it('makes neither a second record nor loses one when connections are cut at any moment', async () => {
    const setting = await Setting.begin()
    const { client, proxy } = setting
    await client.createStream('s', { shards: 2 })
    let answers = 0
    proxy.onAnswer = () => (answers++ % 3 === 1 ? 'cut' : 'pass')
    const appending = keepAppending(client, 's')
    while (proxy.cuts < 40) await pause(5)
    proxy.onAnswer = () => 'pass'
    const { expected } = await appending.stop()
    expect(sorted(await setting.stored('s'))).toEqual(sorted(expected))
  })
})

it(`kill -9 of the daemon, ${kills} times, under appends, splits and a group: all goes on, every record counts once and in order`, {
  timeout: 600_000,
}, async () => {
  const setting = await Setting.begin()
  const { client } = setting
  await client.createStream('s')
  await client.createStream('out')
  const seen = new Map<string, number>()
  // Two members share the shards; what they append goes with their positions.
  const members = [1, 2].map(() =>
    client.subscribe({ stream: 's', group: 'g' }, ({ key, value }, context) => {
      seen.set(key, (seen.get(key) ?? 0) + 1)
      context.append('out', { key, value })
    }),
  )
  const appending = keepAppending(client, 's')
  for (let round = 0; round < kills; round++) {
    const before = appending.count()
    while (appending.count() < before + 100) await pause(5)
    if (round % 2 === 1) await setting.split('s')
    await setting.restart()
  }
  const { expected, count } = await appending.stop()
  expect(sorted(await setting.stored('s'))).toEqual(sorted(expected))
  const outCount = async () => [...(await setting.stored('out')).values()].flat().length
  while ((await outCount()) < count) await pause(20)
  await Promise.all(members.map((member) => member.close()))
  expect(sorted(await setting.stored('out'))).toEqual(sorted(expected))
  // A handler may see a record again after a kill, never too few.
  for (const [key, values] of expected) expect(seen.get(key)).toBeGreaterThanOrEqual(values.length)
})
