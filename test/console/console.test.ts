import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleModule } from '../../src/workers/index.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { chromiumProgram, launch, openPage, type Watched } from './browser.js'

const hostile = '<img src=x onerror="alert(1)">'
const table = 'orders'
/** For what is waited for, not what is measured: the machine may be slow. */
const patience = { timeout: 120_000 }
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8')
const program = chromiumProgram()

const addresses = [
  '',
  'shards',
  'shards/clicks',
  'groups',
  'groups/pipeline%3Abig',
  'bridges',
  'bridges/away',
  'bridges/inward',
  'tables',
  'search',
  'search/people?q=ada',
]

describe.skipIf(program === undefined)('the console in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-console-'))
  let daemon: DaemonProcess
  let browser: Browser
  let isLoading = true
  let load: Promise<void>

  async function append(): Promise<void> {
    const records = Array.from({ length: 50 }, (_, i) => ({ key: `key-${i}`, value: i }))
    while (isLoading) {
      await daemon.v1('POST', 'streams/clicks/records', { records }).catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  beforeAll(async () => {
    ensureBuilt()
    daemon = await DaemonProcess.start({ data: join(folder, 'data') })
    await daemon.v1('POST', 'streams', { name: 'clicks', shards: 2 })
    await daemon.v1('POST', 'streams', { name: 'counts' })
    await daemon.v1('POST', 'streams/clicks/shards/1/split')
    // The name of a key attribute may be any text.
    await daemon.aws('CreateTable', {
      TableName: table,
      AttributeDefinitions: [{ AttributeName: hostile, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: hostile, KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    })
    await daemon.aws('CreateTable', {
      TableName: 'indexed',
      AttributeDefinitions: ['id', 'who'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'byWho',
          KeySchema: [{ AttributeName: 'who', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'KEYS_ONLY' },
        },
      ],
      BillingMode: 'PAY_PER_REQUEST',
    })
    const due = { Enabled: true, AttributeName: 'due' }
    await daemon.aws('UpdateTimeToLive', { TableName: 'indexed', TimeToLiveSpecification: due })
    await daemon.v1('POST', 'search', { name: 'people', table: 'indexed', fields: ['who^2'], store: ['who', 'more'] })
    const ada = { id: { S: '1' }, who: { S: `Ada ${hostile}` }, more: { L: [{ N: '1' }] } }
    await daemon.aws('PutItem', { TableName: 'indexed', Item: ada })
    await daemon.v1('POST', 'bridges', { name: 'away', source: 'clicks', brokers: '127.0.0.1:9' })
    await daemon.v1('POST', 'bridges', {
      name: 'inward',
      topic: 'orders',
      into: 'table:indexed',
      brokers: '127.0.0.1:9',
    })
    const file = join(folder, 'big.ts')
    writeFileSync(
      file,
      `import { pipeline, stream } from 'millrace'
export default pipeline('big').from(stream<number>('clicks')).filter((record) => record.value > 0).keyByPartition().count('perKey')
  .to(stream('counts', (count) => ({ key: 'all', value: count })))`,
    )
    await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(file) })
    load = append()
    browser = await launch(program!)
  })

  afterAll(async () => {
    isLoading = false
    await load
    await browser?.close()
    await daemon?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const address = (path: string): string => `${daemon.url}/console#/${path}`

  async function at(path: string, watched: Watched): Promise<Page> {
    await watched.page.goto(address(path))
    await watched.page.locator('h1').waitFor(patience)
    return watched.page
  }

  const shown = async (page: Page, title: string): Promise<string> =>
    (await page.locator(`dt:text-is("${title}") + dd`).textContent(patience)) ?? ''

  test('shows the load of the daemon, and what is wrong with it', async () => {
    const watched = await openPage(browser)
    const page = await at('', watched)
    // A rate is there once the numbers were asked for twice.
    await page.locator('dt:text-is("Records appended") + dd:not(:text-matches("^(–|0/s)"))').waitFor(patience)
    for (const title of ['Bytes appended', 'Commits']) expect(await shown(page, title)).toMatch(/^[1-9][\d.]*.*\/s/)
    for (const title of ['Median commit', 'Slowest 1 % of commits'])
      expect(await shown(page, title)).toMatch(/^[\d.,]+ (µs|ms|s)$/)
    for (const title of ['Store', 'Free disk', 'Memory']) expect(await shown(page, title)).toMatch(/^[1-9].*[KMGT]iB$/)
    expect(await shown(page, 'State')).toBe('ready')
    expect(await shown(page, 'Tables')).toBe('2')
    await page.locator('.alarms li:has-text("The bridge away delivers nothing")').waitFor(patience)
    expect(watched.faults).toEqual([])
    await watched.close()
  })

  test('shows shards, groups and tables, one click or key press from another', async () => {
    const watched = await openPage(browser)
    const page = await at('', watched)
    await page.keyboard.press('Tab')
    expect(await page.locator(':focus').textContent()).toBe('Skip to the content')
    await page.locator('nav a:text-is("Shards")').press('Enter')
    await page.locator('h1:text-is("Shards")').waitFor(patience)
    expect(await page.locator('nav a[aria-current=page]').textContent()).toBe('Shards')
    await page.getByRole('link', { name: 'clicks', exact: true }).click()
    await page.locator('h1:text-is("Shards of clicks")').waitFor(patience)
    expect(await page.locator('.map rect').count()).toBe(3)
    const shares = await page
      .getByRole('region', { name: 'Open shards' })
      .locator('tbody td:nth-child(5)')
      .allInnerTexts()
    expect(shares).toEqual(['25 %', '25 %', '50 %'])

    await page.locator('nav a:text-is("Groups")').click()
    const row = page.getByRole('region', { name: 'Groups' }).locator('tr', { hasText: 'bridge:away' })
    await row.waitFor(patience)
    await row.getByRole('link', { name: 'bridge:away' }).click()
    await page.locator('h1:text-is("Group bridge:away")').waitFor(patience)
    await page.getByRole('region', { name: 'Positions' }).locator('td:text-is("behind")').first().waitFor(patience)

    await page.locator('nav a:text-is("Bridges")').click()
    const bridge = page.getByRole('region', { name: 'Bridges' }).locator('tr', { hasText: 'away' })
    await bridge.locator('td:text-is("waiting for Kafka")').waitFor(patience)
    expect(await bridge.locator('td:nth-child(7)').textContent()).toMatch(/^[1-9]/)
    await bridge.getByRole('link', { name: 'away' }).click()
    await page.locator('h1:text-is("Bridge away")').waitFor(patience)
    await page.locator('.alarms li', { hasText: 'KAFKA_UNAVAILABLE' }).waitFor(patience)
    expect(await shown(page, 'Guarantee')).toBe('exactly once')
    expect(await shown(page, 'Lag in records')).toMatch(/^[1-9]/)
    expect(await shown(page, 'To pause it')).toBe('millrace bridges pause away')

    await page.locator('a:text-is("All bridges")').click()
    const inward = page.getByRole('region', { name: 'Bridges' }).locator('tr', { hasText: 'inward' })
    expect(await inward.locator('td').first().textContent()).toBe('Kafka: orders')
    await inward.getByRole('link', { name: 'inward' }).click()
    await page.locator('h1:text-is("Bridge inward")').waitFor(patience)
    expect(await shown(page, 'Stored in')).toBe('table:indexed')
    expect(await shown(page, 'Guarantee')).toBe('exactly once')
    expect(await page.locator('code:has-text("bridges seek")').count()).toBe(0)

    await page.locator('nav a:text-is("Tables")').click()
    const indexed = page.getByRole('region', { name: 'Tables' }).locator('tr', { hasText: 'indexed' })
    await indexed.waitFor(patience)
    expect(await indexed.locator('td:nth-child(6)').textContent()).toBe('due')
    expect(await indexed.locator('td:nth-child(7)').textContent()).toBe('not counted')
    await page.getByRole('region', { name: 'Tables' }).locator('th:text-is("orders")').waitFor(patience)
    const index = page.getByRole('region', { name: 'Indexes' }).locator('tr', { hasText: 'byWho' })
    expect(await index.locator('td').allInnerTexts()).toEqual(['indexed', 'global', 'who S', 'KEYS_ONLY', 'active'])
    const orders = page.getByRole('region', { name: 'Tables' }).locator('tr', { hasText: table })
    await orders.getByRole('link', { name: 'shards', exact: true }).click()
    await page.locator('h1:text-is("Shards of table:orders")').waitFor(patience)
    expect(page.url()).toContain('#/shards/table%3Aorders')
    await watched.close()
  })

  test('shows the indexes of words, and finds items by words that stay in the address', async () => {
    const watched = await openPage(browser)
    const page = await at('search', watched)
    const row = page.getByRole('region', { name: 'Search indexes' }).locator('tr', { hasText: 'people' })
    await row.locator('td:text-is("ready")').waitFor(patience)
    await row.locator('td:nth-child(4):text-is("1")').waitFor(patience)
    await row.getByRole('link', { name: 'people' }).click()
    await page.locator('h1:text-is("Search index people")').waitFor(patience)
    expect(await shown(page, 'Fields')).toBe('who^2')
    await page.getByLabel('Words').fill('nobody')
    await page.getByLabel('Words').press('Enter')
    await page.locator('text=Nothing is found.').waitFor(patience)
    await page.getByLabel('Words').fill('grace ada')
    await page.getByRole('button', { name: 'Search' }).click()
    const hit = page.getByRole('region', { name: 'What is found' }).locator('tbody tr')
    await hit.waitFor(patience)
    expect(await hit.locator('th').textContent()).toBe('1')
    expect(await hit.locator('td:nth-child(4) div div').allTextContents()).toEqual([`who Ada ${hostile}`, 'more [1]'])
    expect(page.url()).toContain('#/search/people?q=grace+ada')
    await page.goBack()
    await page.locator('text=Nothing is found.').waitFor(patience)
    expect(await page.getByLabel('Words').inputValue()).toBe('nobody')
    const why = { code: 'SEARCH_NOT_READY', message: 'It is being built.', remedy: 'Try it again.' }
    await page.route('**/v1/search/people?q=*', (route) => route.fulfill({ status: 503, json: { error: why } }))
    await page.goForward()
    await page.locator('main p:text-is("It is being built.")').waitFor(patience)
    expect(await shown(page, 'Documents')).toBe('1')
    // That the daemon said 503 is what its browser reports.
    expect(watched.faults.filter((fault) => !fault.includes('503'))).toEqual([])
    await watched.close()
  })

  test('shows heat, heavy keys and decisions where the daemon tells them, and goes on plainly where it does not', async () => {
    const watched = await openPage(browser)
    const { page } = watched
    await page.route('**/v1/streams/clicks/top', (route) => route.fulfill({ status: 404, json: notThere }))
    await page.route('**/v1/streams/clicks/history', (route) => route.fulfill({ status: 404, json: notThere }))
    await at('shards/clicks', watched)
    await page.locator('text=This daemon measures no keys.').waitFor(patience)
    await watched.close()

    const told = await openPage(browser)
    await told.page.route('**/v1/streams/clicks/top', (route) => route.fulfill({ json: topOf(hostile) }))
    await told.page.route('**/v1/streams/clicks/history', (route) => route.fulfill({ json: historyOf(hostile) }))
    await at('shards/clicks', told)
    await told.page.locator('.map rect.heat-5').waitFor({ ...patience, state: 'attached' })
    const keys = told.page.getByRole('region', { name: 'Heavy keys' })
    expect(await keys.locator('tbody th').textContent()).toBe(hostile)
    await told.page
      .getByRole('region', { name: 'Splits and merges' })
      .locator('td', { hasText: hostile })
      .waitFor(patience)
    expect(told.faults).toEqual([])
    await told.close()
  })

  test('shows names that would be markup as the text that they are', async () => {
    const watched = await openPage(browser)
    const { page } = watched
    await at('tables', watched)
    expect(await page.locator('td', { hasText: hostile }).first().textContent()).toContain(hostile)
    // Names that the daemon itself would refuse, in every list, in errors, and in the address.
    const name = `${hostile}/../"'&`
    await page.route('**/v1/streams', (route) => route.fulfill({ json: { streams: [streamNamed(name)] } }))
    await page.route('**/v1/groups', (route) => route.fulfill({ json: { groups: [groupNamed(name)] } }))
    await page.route('**/v1/tables', (route) => route.fulfill({ json: { tables: [tableNamed(name)] } }))
    await page.route('**/v1/bridges', (route) => route.fulfill({ json: { bridges: [bridgeNamed(name)] } }))
    for (const path of ['shards', 'groups', 'bridges', 'tables']) {
      await page.goto('about:blank')
      await at(path, watched)
      await page.locator('th', { hasText: hostile }).first().waitFor(patience)
    }
    await page.goto('about:blank')
    await page.goto(address(`groups/${encodeURIComponent(hostile)}`))
    await page.locator('main p', { hasText: `There is no group named ${hostile}.` }).waitFor(patience)
    expect(await page.locator('main img, main script').count()).toBe(0)
    // That this group is not there is what its browser reports.
    expect(watched.faults.filter((fault) => !fault.includes('404 (Not Found)'))).toEqual([])
    await watched.close()
  })

  test('keeps the focus while it shows itself again', async () => {
    const watched = await openPage(browser)
    const page = await at('', watched)
    const link = page.locator('dt:text-is("Tables") + dd a')
    await link.focus()
    const before = await shown(page, 'Next sequence number')
    await page.locator(`dt:text-is("Next sequence number") + dd:not(:text-is("${before}"))`).waitFor(patience)
    expect(await page.locator('dt:text-is("Tables") + dd a:focus').count()).toBe(1)
    await watched.close()
  })

  test('says when the daemon does not answer, and goes on when it does', async () => {
    const watched = await openPage(browser)
    const page = await at('', watched)
    await page.route('**/v1/**', (route) => route.abort())
    await page.locator('#connection:has-text("The daemon does not answer.")').waitFor(patience)
    await page.unroute('**/v1/**')
    await page.locator('#connection:empty').waitFor({ ...patience, state: 'attached' })
    await watched.close()
  })

  test.for([
    ['light', 1200],
    ['dark', 360],
  ] as const)('can be read and used by everybody: %s, %i px wide', async ([colorScheme, width]) => {
    const watched = await openPage(browser, { colorScheme, viewport: { width, height: 740 } })
    for (const path of addresses) {
      const page = await at(path, watched)
      // The page itself never scrolls sideways; wide tables do.
      expect(await page.evaluate('document.documentElement.scrollWidth'), path).toBeLessThanOrEqual(width)
      await page.evaluate(axe)
      const { violations } = (await page.evaluate('axe.run()')) as AxeResults
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
      expect(found, path).toEqual([])
    }
    await watched.close()
  })
})

const notThere = { error: { code: 'NOT_FOUND', message: 'There is nothing at /v1/streams/clicks/top.', remedy: '' } }

const topOf = (key: string) => ({
  shards: [
    { shard: 2, load: 1.4, by: 'records', recordsPerSecond: 14_000, bytesPerSecond: 3e6, keys: [{ key, share: 0.6 }] },
    { shard: 4, load: 0.05, by: 'records', recordsPerSecond: 500, bytesPerSecond: 1e5, keys: [] },
  ],
})

const historyOf = (reason: string) => ({
  decisions: [{ number: 1, time: 1_790_000_000_000, kind: 'split', reason, parents: [1], children: [3, 4] }],
})

const streamNamed = (name: string) => ({ name, kind: 'plain', createdAt: 0, shards: 1, open: 1 })
const groupNamed = (name: string) => ({ name, stream: name, lag: 1, positions: [] })
const bridgeNamed = (name: string) => ({
  ...{ name, direction: 'out', source: name, topic: name, group: name, createdAt: 0, options: {} },
  state: { kind: 'failed', since: 0, error: { code: name, message: name, remedy: name } },
  statistics: { records: 0, bytes: 0, lagRecords: 0, lagSeconds: 0, errors: 1 },
})
const tableNamed = (name: string) => ({
  ...{ name, status: name, keys: name, billing: name, stream: name, ttl: name, arn: name },
  indexes: [{ name, kind: name, keys: name, projection: name, state: name }],
})
