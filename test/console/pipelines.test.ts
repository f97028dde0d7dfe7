import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PlanDescription } from '../../src/operators/index.js'
import { topologyText } from '../../src/operators/plan/index.js'
import { bundleModule } from '../../src/workers/index.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'
import { chromiumProgram, launch, openPage, type Watched } from './browser.js'

const hostile = '<img src=x onerror="alert(1)">'
/** A key that is markup, and would be a command where a shell reads it. */
const poisonKey = `${hostile}/../?page=2#'; touch x`
/** For what is waited for, not what is measured: the machine may be slow. */
const patience = { timeout: 120_000 }
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8')
const program = chromiumProgram()

const source = `
import { pipeline, sink, stream, tumbling, typed } from 'millrace'

interface Visit { readonly page: string; readonly at: number; readonly isBot: boolean }

const visits = pipeline('visits').from(stream<Visit>('visits')).eventTime(({ value }) => value.at, { outOfOrder: '3s' })
const [people, bots] = visits.branch(({ value }) => !value.isBot)
const perPage = people
  .keyBy(({ value }) => value.page)
  .window(tumbling('10s'))
  .count('perPage')
  .to(stream('counts', ({ value }, page) => ({ key: page, value })))
const checked = bots
  .keyBy(({ key }) => key)
  .process('checked', {
    emits: typed<string>(),
    onRow({ value }, context) {
      if (value.page === 'broken') throw new Error('no such page: ' + ${JSON.stringify(hostile)} + '\\nfor ' + context.key)
      context.emit(value.page)
    },
  })
  .to(sink({ name: ${JSON.stringify(hostile)}, write() {} }))
export default [perPage, checked]
`

interface Inspected {
  readonly plan: PlanDescription
  readonly graph: readonly { readonly node: number; readonly label: string; readonly rowsIn: number }[]
  readonly parked: { readonly records: number }
}

describe.skipIf(program === undefined)('the pages of pipelines in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-console-'))
  let daemon: DaemonProcess
  let browser: Browser

  const start = Date.UTC(2026, 0, 1)
  let number = 0
  /** The next visits, a second of event time each. */
  const visit = async (count: number) => {
    const records = Array.from({ length: count }, () => {
      const n = number++
      return { key: `user-${n % 5}`, value: { page: `page-${n % 3}`, at: start + n * 1000, isBot: n % 4 === 0 } }
    })
    await daemon.v1('POST', 'streams/visits/records', { records })
  }
  const inspect = () => daemon.v1<Inspected>('GET', 'pipelines/visits')

  beforeAll(async () => {
    ensureBuilt()
    daemon = await DaemonProcess.start({
      data: join(folder, 'data'),
      env: { MILLRACE_WORKERS_THREADS: '2', MILLRACE_PIPELINES_RETRY_MS: '20', MILLRACE_PIPELINES_ATTEMPTS_MAX: '2' },
    })
    for (const name of ['visits', 'counts']) await daemon.v1('POST', 'streams', { name, shards: 1 })
    const file = join(folder, 'visits.ts')
    writeFileSync(file, source)
    await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(file) })
    await visit(40)
    const broken = { page: 'broken', at: start + 40_000, isBot: true }
    await daemon.v1('POST', 'streams/visits/records', {
      records: [1, 2, 3].map(() => ({ key: poisonKey, value: broken })),
    })
    await vi.waitFor(async () => expect((await inspect()).parked.records).toBe(3), { ...patience, interval: 50 })
    browser = await launch(program!)
  })

  afterAll(async () => {
    await browser?.close()
    await daemon?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function at(path: string, watched: Watched): Promise<Page> {
    await watched.page.goto('about:blank')
    await watched.page.goto(`${daemon.url}/console#/${path}`)
    await watched.page.locator('h1').waitFor(patience)
    return watched.page
  }

  const shown = async (page: Page, title: string): Promise<string> =>
    (await page.locator(`dt:text-is("${title}") + dd`).textContent(patience)) ?? ''
  const row = (page: Page, region: string, text: string): Locator =>
    page.getByRole('region', { name: region, exact: true }).locator('tr', { hasText: text })
  const cells = async (found: Locator): Promise<string[]> => found.locator('th, td').allInnerTexts()
  const countOf = (text: string): number => Number(text.replaceAll(',', ''))

  test('lists the pipelines, and shows one with every step that the command line names', async () => {
    const watched = await openPage(browser)
    const page = await at('', watched)
    await page.locator('.alarms li:has-text("Records of the pipeline visits are parked")').waitFor(patience)
    await page.locator('nav a:text-is("Pipelines")').click()
    await page.locator('h1:text-is("Pipelines")').waitFor(patience)
    const [name, state, version, , , delay, parked] = await cells(row(page, 'Pipelines', 'visits'))
    expect([name, state, version, parked]).toEqual(['visits', 'running', '1', '3'])
    // The event time is that of a fixed day, long ago for any clock.
    expect(delay).toMatch(/days$/)

    await page.getByRole('link', { name: 'visits', exact: true }).click()
    await page.locator('h1:text-is("Pipeline visits")').waitFor(patience)
    const { plan, graph } = await inspect()
    const drawn = await page.locator('.topology .box title').allTextContents()
    const labels = drawn.map((text) => text.split('\n')[0])
    expect(labels).toEqual(graph.map(({ node, label }) => `${node} ${label}`))
    for (const label of labels) expect(topologyText(plan)).toContain(label)
    expect(labels).toContain('3 case 1')
    expect(labels.some((label) => label?.includes('perPage'))).toBe(true)
    // Two stages of keyed steps beside that of the source, and a dashed line into each.
    expect(await page.locator('.topology .area').count()).toBe(3)
    expect(await page.locator('.topology .sent').count()).toBe(2)
    const titles = drawn.filter((text) => text.includes('to stream counts') || text.includes('to user'))
    expect(titles.map((text) => text.split('\n').at(-1))).toEqual([
      'exactly once',
      'at least once, with an idempotency key',
    ])
    expect(await page.locator('.topology .troubled').count()).toBeGreaterThan(0)
    expect(watched.faults).toEqual([])
    await watched.close()
  })

  test('shows numbers that move, and what holds event time back', async () => {
    const watched = await openPage(browser)
    const page = await at('pipelines/visits', watched)
    const all = async () => countOf((await cells(row(page, 'Steps', '0 stream visits')))[5] ?? '')
    const before = await all()
    const commits = countOf(await shown(page, 'Commits'))
    expect(before).toBeGreaterThanOrEqual(43)
    await visit(30)
    await expect.poll(all, patience).toBe(before + 30)
    await expect.poll(async () => countOf(await shown(page, 'Commits')), patience).toBeGreaterThan(commits)
    // The rate stays above 0 for ten seconds, and the page asks more often.
    expect(await page.locator('.topology .box').first().textContent()).toContain(`${before + 30} in all`)
    expect(await page.locator('.holding').textContent()).toMatch(
      /^Shard \d+ of visits holds event time back: it is the least far\.$/,
    )
    // The newest visit less what may be out of order.
    const watermark = new Date(start + (number - 1) * 1000 - 3001).toISOString()
    await expect
      .poll(
        () => page.getByRole('region', { name: 'Sources', exact: true }).locator('time').getAttribute('datetime'),
        patience,
      )
      .toBe(watermark)
    await expect
      .poll(() => row(page, 'Stages', 'perPage').locator('time').getAttribute('datetime'), patience)
      .toBe(watermark)
    for (const title of ['Timers', 'State size on disk', 'Lag in records, at most'])
      expect(await shown(page, title)).not.toBe('–')
    expect(countOf(await shown(page, 'Timers'))).toBeGreaterThan(0)
    expect(watched.faults).toEqual([])
    await watched.close()
  })

  test('shows what is parked, why, and how to go on, with a command that means just that', async () => {
    const watched = await openPage(browser)
    const page = await at('pipelines/visits', watched)
    const found = row(page, 'Parked records', hostile)
    const [key, step, error, attempts, behind] = await cells(found)
    expect([key, step, behind]).toEqual([poisonKey, 'checked', '2'])
    expect(error).toBe(`no such page: ${hostile}`)
    expect(Number(attempts)).toBeGreaterThan(0)
    await found.getByRole('link').click()
    await page.locator('h1:text-is("Parked at checked")').waitFor(patience)
    expect(await shown(page, 'Key')).toBe(poisonKey)
    expect(await shown(page, 'Error')).toContain(`no such page: ${hostile}\nfor ${poisonKey}`)
    expect(await shown(page, 'Sequence number')).toMatch(/^[\d,]+$/)
    expect(await page.getByRole('region', { name: 'Stack' }).textContent()).toContain('at Object.onRow')
    expect(await page.getByRole('region', { name: 'Input' }).textContent()).toContain('"page": "broken"')
    expect(await page.getByRole('region', { name: 'Waiting behind it' }).locator('tbody tr').count()).toBe(2)
    const drop = await shown(page, 'Give up this record')
    expect(drop).toBe(
      `millrace parked drop --pipeline=visits --step=checked --key='${poisonKey.replace("'", "'\\''")}'`,
    )
    // What the command line makes of the same words, as a shell hands them over.
    const words = ['parked', 'drop', '--pipeline=visits', '--step=checked', `--key=${poisonKey}`]
    expect((await millrace([...words, '--url', daemon.url])).stdout).toContain('1')
    await page.locator('dt:text-is("Waiting behind it") + dd:text-is("1")').waitFor(patience)
    expect(await page.locator('main img, main script').count()).toBe(0)
    expect(watched.faults).toEqual([])
    await watched.close()
  })

  test('shows names that would be markup as the text that they are, wherever they stand', async () => {
    const watched = await openPage(browser)
    const { page } = watched
    await page.route('**/v1/pipelines', (route) => route.fulfill({ json: { pipelines: [pipelineNamed(hostile)] } }))
    await page.route('**/v1/pipelines/*', (route) => route.fulfill({ json: inspectedNamed(hostile) }))
    await page.route('**/v1/parked?*', (route) => route.fulfill({ json: { parked: [parkedNamed(hostile)], more: 9 } }))
    await at('pipelines', watched)
    await page.getByRole('link', { name: hostile, exact: true }).click()
    await page.locator('h1', { hasText: `Pipeline ${hostile}` }).waitFor(patience)
    expect(await page.locator('.topology .label').allTextContents()).toEqual([expect.stringContaining('0 <img src=x')])
    expect(await page.locator('.pager a').getAttribute('href')).toBe(
      `#/pipelines/${encodeURIComponent(hostile)}?page=2`,
    )
    await row(page, 'Parked records', hostile).getByRole('link').click()
    await page.locator('h1', { hasText: `Parked at ${hostile}` }).waitFor(patience)
    await page.getByRole('region', { name: 'Input' }).waitFor(patience)
    expect(await page.locator('main img, main script').count()).toBe(0)
    expect(watched.faults).toEqual([])
    await watched.close()
  })

  test.for([
    ['light', 1200],
    ['dark', 360],
  ] as const)('can be read and used by everybody: %s, %i px wide', async ([colorScheme, width]) => {
    const watched = await openPage(browser, { colorScheme, viewport: { width, height: 740 } })
    const parked = `pipelines/visits/parked/checked/${encodeURIComponent(poisonKey)}`
    for (const path of ['pipelines', 'pipelines/visits', parked]) {
      const page = await at(path, watched)
      expect(await page.evaluate('document.documentElement.scrollWidth'), path).toBeLessThanOrEqual(width)
      await page.evaluate(axe)
      const { violations } = (await page.evaluate('axe.run()')) as AxeResults
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
      expect(found, path).toEqual([])
    }
    await watched.close()
  })
})

const failure = (text: string) => ({ code: text, message: text, stack: text, step: 0, sequence: 1, shard: 1, at: 0 })

const pipelineNamed = (name: string) => ({
  ...{ name, state: name, sources: [name], groups: [name], revision: 1, attempts: 0, createdAt: 0, tasks: 1 },
  recordsPerSecond: 1,
  barrier: { inFlight: false, committed: 1, secondsLast: 0.1 },
  error: failure(name),
  parked: { records: 1, keys: 1, isFull: false },
})

const inspectedNamed = (name: string) => ({
  ...pipelineNamed(name),
  at: 0,
  // Event time may be any number, also one that is no date.
  inputs: [
    {
      source: name,
      node: 0,
      group: name,
      lagRecords: 0,
      lagSeconds: 0,
      shards: [{ shard: 1, watermark: 1e300, isIdle: false }],
      moreShards: 0,
    },
  ],
  stages: [{ stage: 0, kind: 'source', label: name }],
  graph: [{ node: 0, kind: name, label: name, detail: name, guarantee: name, inputs: [], stages: [0] }].map((node) => ({
    ...node,
    rowsIn: 1,
    rowsPerSecond: 1,
    failures: 0,
    parked: 1,
  })),
  heldBy: { source: name, shard: 1, hasTime: true },
  stateBytes: 1,
  timers: { count: 1000, isMore: true },
  outboxes: [
    {
      sink: name,
      records: 1,
      bytes: 1,
      isFull: false,
      breaker: 'open',
      delivered: 1,
      attempts: 1,
      failures: 1,
      deadLetters: 0,
      error: name,
    },
  ],
})

const parkedNamed = (name: string) => ({
  ...{ pipeline: name, step: name, key: name, number: 1, kind: 'row', value: { [name]: name }, time: 0, parkedAt: 0 },
  attempts: 1,
  error: { code: name, message: name, stack: name },
  behind: 0,
})
