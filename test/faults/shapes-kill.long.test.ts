import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { BatchBuilder, encodeShapes, RowEncoder } from '../../src/log/bodies.js'
import { stampProducer } from '../../src/log/index.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

const value = { price: 1.5, name: 'é', more: null }

function batchOf() {
  const builder = new BatchBuilder(new RowEncoder())
  builder.add({ key: 'k', value }, 5)
  const batch = builder.build()
  stampProducer(batch, { producer: 0, number: 0, epoch: 0 })
  return { batch, shapes: encodeShapes(builder.shapes) }
}

const append = (daemon: DaemonProcess, body: Buffer) =>
  fetch(`${daemon.url}/v1/streams/s/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'x-millrace': '1' },
    body: body as never,
  })

it.each(['commit:gathered', 'append:packed', 'commit:packed', 'commit:written', 'commit:answered'])(
  'a row that is there has its shape, and a shape that is not there is asked for, after a kill at %s',
  async (point) => {
    const data = join(temporaryFolder(), 'data')
    const env = { MILLRACE_LOG_LEVEL: 'silent' }
    const first = await DaemonProcess.start({ data, env })
    await first.v1('POST', 'streams', { name: 's' })
    await first.stop()
    const { batch, shapes } = batchOf()
    let doomed: DaemonProcess | undefined
    // An opening may commit something of its own, and be killed at that.
    for (let count = 1; !doomed; count++)
      doomed = await DaemonProcess.start({
        data,
        env: { ...env, MILLRACE_TEST_KILL_AT: `${point}:${count}` },
      }).catch(() => undefined)
    await append(doomed, Buffer.concat([shapes, batch])).catch(() => {})
    await doomed.exited

    const daemon = await DaemonProcess.start({ data, env })
    const read = async () => {
      const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/s/shards')
      return (await daemon.v1<{ records: { value: unknown }[] }>('GET', `streams/s/records?shard=${shards[0]!.id}`))
        .records
    }
    const isThere = (await read()).length === 1
    // Without its shape a batch is taken exactly where the shape is stored.
    expect((await append(daemon, batch)).status).toBe(isThere ? 200 : 409)
    expect((await append(daemon, Buffer.concat([shapes, batch]))).status).toBe(200)
    expect((await read()).map((record) => record.value)).toEqual(isThere ? [value, value, value] : [value])
    expect(await daemon.stop()).toBe(0)
  },
)
