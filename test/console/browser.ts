import { spawnSync } from 'node:child_process'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** The program of a Chromium that is there; says so when none is. In CI nothing may be left out. */
export function chromiumProgram(): string | undefined {
  for (const name of ['chromium', 'google-chrome']) {
    const { status, stdout } = spawnSync('which', [name], { encoding: 'utf8' })
    if (status === 0) return stdout.trim()
  }
  if (process.env.CI) throw new Error('There is no Chromium here, and in CI nothing may be left out.')
  console.error('*** there is no Chromium here: left out are the tests of the console in a real browser')
  return undefined
}

export function launch(program: string): Promise<Browser> {
  // Debian's wrapper and a container's root user: neither has the sandbox that a desktop has.
  return chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

/** A page of the console, and everything that its browser found wrong with it. */
export interface Watched {
  readonly page: Page
  readonly faults: readonly string[]
  close(): Promise<void>
}

/** A window of its own. Errors and warnings of the console, broken scripts and violations of the policy are all faults. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext(options)
  // For what is waited for, not what is measured: the machine may be slow.
  context.setDefaultTimeout(120_000)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`))
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.addInitScript(`document.addEventListener('securitypolicyviolation', (event) => {
    console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI)
  })`)
  return { page, faults, close: () => context.close() }
}
