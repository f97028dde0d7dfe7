import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parse, stringify } from 'yaml'
import { dashboard } from '../../scripts/reference/dashboard.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { freePorts } from '../free-ports.mjs'
import { type Alert, PrometheusProcess } from './prometheus-process.js'
import { hasTool } from './tools.js'

const own = fileURLToPath(new URL('../../config/prometheus/', import.meta.url))

/** Nothing here waits for a time: only for something to become true. */
const eventually = { timeout: 180_000, interval: 100 }

interface RulesFile {
  readonly groups: readonly { readonly rules: readonly { for?: string }[] }[]
}

/** The project's own files, but for the port, the intervals, and how long an alert waits. */
function writeConfig(folder: string, target: string): string {
  const config = parse(readFileSync(join(own, 'prometheus.yml'), 'utf8')) as {
    global: Record<string, string>
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }
  config.global = { scrape_interval: '200ms', evaluation_interval: '200ms' }
  config.scrape_configs[0]!.static_configs[0]!.targets = [target]
  mkdirSync(join(folder, 'rules'))
  for (const name of readdirSync(join(own, 'rules'))) {
    const file = parse(readFileSync(join(own, 'rules', name), 'utf8')) as RulesFile
    for (const rule of file.groups.flatMap(({ rules }) => rules)) if (rule.for !== undefined) rule.for = '400ms'
    writeFileSync(join(folder, 'rules', name), stringify(file))
  }
  const path = join(folder, 'prometheus.yml')
  writeFileSync(path, stringify(config))
  return path
}

describe.skipIf(!hasTool('prometheus', 'a real Prometheus that scrapes a daemon under load'))('Prometheus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-prometheus-'))
  const data = join(folder, 'data')
  let daemon: DaemonProcess
  let prometheus: PrometheusProcess
  let isLoading = true
  let load: Promise<void>

  /** Appends until the end; while the daemon is away it only tries. */
  async function append(): Promise<void> {
    const records = Array.from({ length: 100 }, (_, i) => ({ key: `key-${i}`, value: i }))
    while (isLoading) {
      await daemon.v1('POST', 'streams/clicks/records', { records }).catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  beforeAll(async () => {
    ensureBuilt()
    // It is killed and comes back at its port, which nothing else may have taken meanwhile.
    const [port] = await freePorts(1)
    daemon = await DaemonProcess.start({ data, args: ['--port', String(port)] })
    await daemon.v1('POST', 'streams', { name: 'clicks', shards: 2 })
    load = append()
    prometheus = await PrometheusProcess.start(writeConfig(folder, new URL(daemon.url).host), folder)
  })

  afterAll(async () => {
    isLoading = false
    await load
    await prometheus?.stop()
    await daemon?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const firing = async (name: string): Promise<Alert | undefined> =>
    (await prometheus.alerts()).find(({ labels, state }) => labels.alertname === name && state === 'firing')

  test('sees the series move', async () => {
    const appended = async () => (await prometheus.query('millrace_appended_records_total'))[0]?.value ?? 0
    const before = await vi.waitFor(async () => {
      const value = await appended()
      expect(value).toBeGreaterThan(0)
      return value
    }, eventually)
    await vi.waitFor(async () => expect(await appended()).toBeGreaterThan(before), eventually)
    await vi.waitFor(async () => {
      const [rate] = await prometheus.query('instance:millrace_appended_records:rate1m')
      expect(rate?.value).toBeGreaterThan(0)
    }, eventually)
  })

  test('evaluates every rule and every expression of the dashboard without an error', async () => {
    await vi.waitFor(async () => {
      const rules = await prometheus.rules()
      expect(rules.length).toBeGreaterThan(30)
      for (const rule of rules) expect(rule, rule.lastError).toMatchObject({ health: 'ok' })
    }, eventually)
    let answered = 0
    for (const panel of dashboard().panels ?? []) {
      for (const { expr } of 'targets' in panel ? (panel.targets ?? []) : []) {
        const expression = String(expr).replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m')
        if ((await prometheus.query(expression)).length > 0) answered++
      }
    }
    // Bridges and pipelines there are none.
    expect(answered).toBeGreaterThan(20)
  })

  test('fires an alert for a bridge whose broker is away, and clears it when the bridge is deleted', async () => {
    expect(await firing('MillraceBridgeNotDelivering')).toBeUndefined()
    await daemon.v1('POST', 'bridges', { name: 'away', source: 'clicks', brokers: '127.0.0.1:9' })
    const alert = await vi.waitFor(async () => {
      const fired = await firing('MillraceBridgeNotDelivering')
      expect(fired).toBeDefined()
      return fired!
    }, eventually)
    expect(alert.labels).toMatchObject({ bridge: 'away', severity: 'warning', job: 'millrace' })
    expect(alert.annotations.summary).toContain('The bridge away of 127.0.0.1:')
    await daemon.v1('DELETE', 'bridges/away')
    await vi.waitFor(async () => expect(await firing('MillraceBridgeNotDelivering')).toBeUndefined(), eventually)
  })

  test('fires an alert when the daemon is killed, and clears it when it is back', async () => {
    const { port } = new URL(daemon.url)
    await daemon.kill()
    await vi.waitFor(async () => expect(await firing('MillraceDown')).toBeDefined(), eventually)
    daemon = await DaemonProcess.start({ data, args: ['--port', port] })
    await vi.waitFor(async () => expect(await firing('MillraceDown')).toBeUndefined(), eventually)
  })
})
