import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumProgram, launch, openPage, type Watched } from '../console/browser.js'

const script = fileURLToPath(new URL('../../examples/todo/run.mjs', import.meta.url))
const hostile = '<img src=x onerror="alert(1)"> & co'
/** For what is waited for, not what is measured: the machine may be slow. */
const patience = { timeout: 120_000 }
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8')
const program = chromiumProgram()

describe.skipIf(program === undefined)('the page of the to-do example in a browser', () => {
  let application: ChildProcess
  let ended: Promise<number | null>
  let address = ''
  let browser: Browser
  let watched: Watched
  let page: Page
  const asked = new Set<string>()

  beforeAll(async () => {
    application = spawn(process.execPath, [script, '--serve', '--check'], { stdio: ['ignore', 'pipe', 'inherit'] })
    ended = new Promise((resolve) => application.once('exit', resolve))
    address = await new Promise<string>((resolve, reject) => {
      createInterface({ input: application.stdout! }).on('line', (line) => {
        const ready = /^the page is ready at (\S+)$/.exec(line)?.[1]
        if (ready) resolve(ready)
      })
      void ended.then((code) => reject(new Error(`the example ended with ${code}`)))
    })
    browser = await launch(program!)
    watched = await openPage(browser)
    page = watched.page
    page.on('request', (request) => asked.add(new URL(request.url()).origin))
    await page.goto(address)
  })

  afterAll(async () => {
    await browser?.close()
    application?.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  const region = (name: string): Locator => page.getByRole('region', { name })
  const [here, there] = ['us-east-1', 'eu-west-1'] as const
  const both = [here, there]
  /** A task in the list of a region, not in what its search found. */
  const task = (name: string, words: string): Locator =>
    region(name).getByRole('checkbox', { name: words, exact: true })
  const archived = (name: string, words: string): Locator => region(name).locator('.archived li', { hasText: words })

  async function add(name: string, words: string, expires?: string): Promise<void> {
    if (expires) await region(name).getByLabel('Expires').selectOption(expires)
    await region(name).getByLabel('New task').fill(words)
    await page.keyboard.press('Enter')
  }

  async function everywhere(of: (name: string) => Locator, state: 'visible' | 'detached' = 'visible'): Promise<void> {
    for (const name of both) await of(name).waitFor({ ...patience, state })
  }

  test('shows a task that was added in one region in both, and both count it, twice', async () => {
    await add(here, 'Plan the week')
    await add(there, hostile)
    await everywhere((name) => task(name, 'Plan the week'))
    await everywhere((name) => task(name, hostile))
    await everywhere((name) => region(name).getByText('2 tasks by the pipeline; 2 by the trigger'))
  })

  test('shows a task that was done in one region as done in both', async () => {
    await task(there, 'Plan the week').check()
    for (const name of both) await expect.poll(() => task(name, 'Plan the week').isChecked()).toBe(true)
    await expect.poll(() => page.locator('#message').textContent()).toBe('Done: Plan the week')
  })

  test('finds a task by the beginning of a word, in each region by its own index', async () => {
    for (const name of both) {
      await region(name).getByLabel('Search this list').fill('wee')
      await region(name).getByText('1 task found').waitFor(patience)
      expect(await region(name).locator('.hits li').allTextContents()).toEqual(['Plan the week'])
    }
  })

  test('shows a task that expired in the archives of both regions, and one that was removed in none', async () => {
    // On a busy machine three seconds may be over before the other region shows it; a day is not.
    await add(there, 'Feed the cat', 'in 3 seconds')
    await add(there, 'Pay the rent', 'in a day')
    await everywhere((name) => task(name, 'Pay the rent'))
    await everywhere((name) => region(name).getByText('expires in 24 h'))
    for (const words of [hostile, 'Pay the rent']) {
      await region(here)
        .getByRole('button', { name: `Remove ${words}` })
        .click()
      await everywhere((name) => task(name, words), 'detached')
    }
    await everywhere((name) => archived(name, 'Feed the cat'))
    await everywhere((name) => task(name, 'Feed the cat'), 'detached')
    await everywhere((name) => region(name).getByText('1 task by the pipeline; 1 by the trigger'))
    // The first one is that of the example's own checks.
    for (const name of both)
      expect(await region(name).locator('.archived li').allTextContents()).toEqual(['Water the plants', 'Feed the cat'])
  })

  test('keeps the lists apart', async () => {
    await page.getByLabel('Home').check()
    await everywhere((name) => task(name, 'Plan the week'), 'detached')
    await everywhere((name) => region(name).getByText('0 tasks by the pipeline; 0 by the trigger'))
    await page.getByLabel('Work').check()
    await everywhere((name) => task(name, 'Plan the week'))
  })

  test('says what a task must be', async () => {
    await add(here, '   ')
    await page.getByText('Describe the task in 1 to 200 characters.').waitFor(patience)
  })

  test('is accessible, in light and in dark, and asks nobody but its own server', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate(axe)
      const { violations } = await page.evaluate<AxeResults>('axe.run()')
      expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([])
    }
    expect([...asked]).toEqual([new URL(address).origin])
    // The browser says it itself where a request was refused.
    expect(watched.faults.filter((fault) => !fault.includes('400 (Bad Request)'))).toEqual([])
  })

  test('is for its own machine: a request under another name, or one that a form could send, is refused', async () => {
    const post = (headers: Record<string, string>) =>
      fetch(new URL('/api/tasks/add', address), {
        method: 'POST',
        headers,
        body: JSON.stringify({ region: here, list: 2, description: 'x' }),
      })
    expect((await post({ 'content-type': 'text/plain' })).status).toBe(400)
    expect((await fetch(new URL('/api/list?list=two', address))).status).toBe(400)
    expect((await fetch(new URL('/../package.json', address))).status).toBe(404)
    const status = await new Promise((resolve, reject) => {
      const headers = { host: 'tasks.example' }
      get(new URL('/api/lists', address), { headers }, ({ statusCode }) => resolve(statusCode)).once('error', reject)
    })
    expect(status).toBe(403)
  })
})
