import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { configSchema } from '../../src/config/index.js'
import type { Daemon } from '../../src/daemon/index.js'
import { Metrics, MillraceError, silentLogger } from '../../src/runtime/index.js'
import { daemonMetrics, Server } from '../../src/server/index.js'
import { bundleModule } from '../../src/workers/index.js'
import { temporaryFolder } from '../temporary-folder.js'
import { serve } from './serving.js'

const get = async (url: string, method = 'GET') => {
  const response = await fetch(url, { method })
  return { status: response.status, text: await response.text() }
}

describe('health', () => {
  test('a daemon whose store is open is alive and ready', async () => {
    const { url } = await serve()
    expect(await get(`${url}/healthz`)).toEqual({ status: 200, text: '{"alive":true}\n' })
    expect(await get(`${url}/readyz`)).toEqual({ status: 200, text: '{"ready":true,"state":"ready"}\n' })
    expect((await get(`${url}/healthz`, 'HEAD')).status).toBe(200)
    expect((await get(`${url}/healthz`, 'DELETE')).status).toBe(400)
    expect((await get(`${url}/nothing`)).status).toBe(404)
  })

  test('one whose store is closed is alive, says why it is not ready, and tells clients to retry', async () => {
    const reason = 'A write to the store failed: no space.'
    const daemon = {
      config: configSchema.parse({ listen: { port: 0 } }),
      state: { state: 'reopening', reason },
      dataDirectory: '/data',
      storageFull: false,
      freeBytes: 0,
      workers: { restarts: 0 },
      functions: { host: { serveAt() {} } },
      get rooms(): never {
        throw new MillraceError('NOT_READY', reason)
      },
    } as unknown as Daemon
    const metrics = new Metrics('test')
    daemonMetrics(metrics).watch(daemon)
    const server = new Server({ daemon, metrics, logger: silentLogger })
    const { port } = await server.listen()
    const url = `http://127.0.0.1:${port}`
    try {
      expect((await get(`${url}/healthz`)).status).toBe(200)
      const ready = await get(`${url}/readyz`)
      expect([ready.status, JSON.parse(ready.text)]).toEqual([503, { ready: false, state: 'reopening', reason }])
      expect((await get(`${url}/v1/status`)).text).toContain(reason)
      expect((await get(`${url}/v1/streams`)).status).toBe(503)
      expect((await get(`${url}/metrics`)).text).toContain('millrace_store_poisoned 1')
      const aws = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.GetItem' },
        body: '{}',
      })
      expect([aws.status, await aws.text()]).toEqual([503, expect.stringContaining('ServiceUnavailable')])
    } finally {
      await server.close()
    }
  })
})

test('a port that is taken', async () => {
  const { port, daemon } = await serve()
  const config = { ...daemon.config, listen: { ...daemon.config.listen, port } }
  const other = new Server({ daemon: { config } as Daemon, metrics: new Metrics('test'), logger: silentLogger })
  await expect(other.listen()).rejects.toMatchObject({ code: 'PORT_IN_USE' })
})

describe('a stop', () => {
  test('answers what is in flight, and takes nothing new', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const append = (i: number) => serving.v1('POST', 'streams/s/records', { records: [{ key: 'k', value: i }] })
    const inFlight = Array.from({ length: 20 }, (_, i) => append(i))
    // The first has arrived when it is answered; the others have been sent by then.
    await inFlight[0]
    const stopped = serving.server.close()
    const answers = await Promise.allSettled(inFlight)
    await stopped
    for (const answer of answers) if (answer.status === 'fulfilled') expect(answer.value.status).toBe(200)
    await expect(append(99)).rejects.toThrow()
    // What was answered is there, and nothing is there twice.
    const { log } = serving.daemon.rooms
    const [shard] = log.shards(log.streamNamed('s')!.id)
    const records = log.lastSequence(shard!.id) - shard!.firstSequence
    expect(records).toBeGreaterThanOrEqual(answers.filter((answer) => answer.status === 'fulfilled').length)
    expect(records).toBeLessThanOrEqual(20)
  })

  test('cuts a request that never arrives whole', async () => {
    const serving = await serve({ http: { stopMsMax: 50 } })
    const socket = connect(serving.port, '127.0.0.1')
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('error', () => {})
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await serving.close()
    await closed
  })
})

describe('metrics', () => {
  const hasPromtool = spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status === 0
  if (!hasPromtool) console.error('*** there is no promtool here: its check of /metrics is left out')

  /** A daemon in which every metric has a sample. */
  async function busy(): Promise<string> {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    await serving.v1('POST', 'streams/s/records', { records: [{ key: 'secret-key', value: 1 }] })
    await serving.v1('POST', 'streams/s/shards/1/split')
    await serving.v1('POST', 'bridges', { name: 'b', source: 's', brokers: '127.0.0.1:9' })
    await serving.v1('GET', 'streams/none')
    const file = join(temporaryFolder(), 'big.ts')
    writeFileSync(
      file,
      `import { pipeline, stream } from 'millrace'
export default pipeline('big').from(stream<number>('s')).filter((record) => record.value > 0).keyByPartition().count('perKey')
  .to(stream('counts', (count) => ({ key: 'all', value: count })))`,
    )
    await serving.v1('POST', 'streams', { name: 'counts' })
    const deployed = await serving.v1('POST', 'pipelines', { bundle: await bundleModule(file) })
    expect(deployed.text).toContain('"name":"big"')
    await vi.waitFor(
      async () =>
        expect((await get(`${serving.url}/metrics`)).text).toMatch(/operator_records_in_total.*step="perKey"} 1\n/),
      { timeout: 120_000 },
    )
    return (await get(`${serving.url}/metrics`)).text
  }

  test.skipIf(!hasPromtool)('pass the check of promtool', async () => {
    const run = spawnSync('promtool', ['check', 'metrics'], { input: await busy(), encoding: 'utf8' })
    expect(run.stderr + run.stdout).toBe('')
    expect(run.status).toBe(0)
  })

  test('count what happened, under the names of paths and codes, and show no key of a user', async () => {
    const text = await busy()
    for (const line of [
      'millrace_operator_records_in_total{pipeline="big",step="0-filter"} 1',
      'millrace_operator_records_out_total{pipeline="big",step="0-filter"} 1',
      'millrace_sink_records_total{pipeline="big",step="3-sink"} 1',
      'millrace_pipeline_failed{pipeline="big"} 0',
      'millrace_shards_open{stream="s"} 2',
      'millrace_splits_total{reason="manual"} 1',
      'millrace_store_poisoned 0',
      'millrace_ready 1',
      'millrace_bridge_failed{bridge="b"} 0',
      'millrace_operator_records_failed_total{pipeline="big",step="perKey"} 0',
      'millrace_commit_queue_bytes_max 134217728',
      'millrace_store_writes_stopped 0',
      'millrace_request_seconds_count{operation="POST /v1/streams/{name}/records",code="ok"} 1',
      'millrace_request_seconds_count{operation="GET /v1/streams/{name}",code="NOT_FOUND"} 1',
    ])
      expect(text).toContain(`${line}\n`)
    expect(text).toMatch(/millrace_group_lag_seconds\{group="bridge:b"\} [\d.e-]+\n/)
    expect(text).toMatch(/millrace_storage_free_bytes [1-9]/)
    expect(text).toMatch(/millrace_log_reads_total\{source="cache"\} [1-9]/)
    expect(text).toMatch(/millrace_query_reads_total\{source="cache"\} 0\n/)
    expect(text).toMatch(/millrace_query_cache_bytes 0\n/)
    expect(text).toMatch(/millrace_commit_effect_sets_total [1-9]/)
    expect(text).toMatch(/millrace_http_connections [1-9]/)
    expect(text).toMatch(/millrace_pipeline_barriers_total\{pipeline="big"\} \d/)
    expect(text).not.toContain('secret-key')
    expect(text).not.toContain('none"')
  })

  test('can be had as JSON, those that are asked for', async () => {
    const { v1 } = await serve()
    await v1('POST', 'streams', { name: 's' })
    const { json } = await v1('GET', 'metrics?names=ready,shards_open,commit_seconds,nothing')
    const samples = json.samples as unknown as readonly {
      name: string
      labels: Record<string, string>
      value: number
    }[]
    expect(samples).toContainEqual({ name: 'ready', labels: {}, value: 1 })
    expect(samples).toContainEqual({ name: 'shards_open', labels: { stream: 's' }, value: 1 })
    expect(samples).toContainEqual({
      name: 'commit_seconds_bucket',
      labels: { le: '+Inf' },
      value: samples.find(({ name }) => name === 'commit_seconds_count')?.value,
    })
    expect(samples.filter(({ name }) => !/^(ready|shards_open|commit_seconds(_\w+)?)$/.test(name))).toEqual([])
    expect(json.uptimeMs).toBeGreaterThan(0)
    for (const query of ['', '?names=', `?names=${Array.from({ length: 65 }, (_, i) => i).join()}`])
      expect((await v1('GET', `metrics${query}`)).code, query).toBe('BAD_REQUEST')
  })

  test('of two scrapes at once each is whole', async () => {
    const { url } = await serve()
    const texts = await Promise.all(Array.from({ length: 10 }, () => get(`${url}/metrics`)))
    for (const { text } of texts) expect(text.match(/^millrace_build_info\{/gm)).toHaveLength(1)
  })
})
