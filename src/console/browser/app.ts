import { DaemonError } from './api.js'
import { element } from './element.js'
import type { Page } from './page.js'
import { pages } from './pages.js'
import { patch } from './patch.js'

const main = document.querySelector('main') as HTMLElement
const navigation = document.querySelector('#pages') as HTMLElement
const connection = document.querySelector('#connection') as HTMLElement

interface Place {
  readonly page: Page
  readonly names: readonly string[]
  readonly query: URLSearchParams
}

/** Where the address points; an address that nobody made leads to the first page. */
function placeOf(hash: string): Place {
  // Names are encoded: a question mark of theirs is not one of the address.
  const [path = '', asked = ''] = hash.replace(/^#\/?/, '').split('?')
  const [name = '', ...parts] = path.split('/')
  const page = pages.find((each) => each.name === name)
  const query = new URLSearchParams(asked)
  try {
    return { page: page ?? pages[0], names: page ? parts.map(decodeURIComponent) : [], query }
  } catch {
    return { page: pages[0], names: [], query }
  }
}

let leaving = new AbortController()

async function goTo({ page, names, query }: Place, isFirst: boolean): Promise<void> {
  leaving.abort()
  const left = new AbortController()
  leaving = left
  document.title = `${page.title} · Millrace`
  patch(
    navigation,
    pages.map((each) => navigationItem(each, each === page)),
  )
  if (!isFirst) main.focus()
  while (!left.signal.aborted) {
    await show({ page, names, query }, left.signal)
    await pause(page.everyMs, left.signal)
  }
}

function navigationItem(page: Page, isCurrent: boolean): HTMLLIElement {
  const attributes = { href: `#/${page.name}`, 'aria-current': isCurrent ? 'page' : undefined }
  return element('li', {}, element('a', attributes, page.title))
}

async function show({ page, names, query }: Place, signal: AbortSignal): Promise<void> {
  try {
    const content = await page.show({ names, query, signal })
    if (signal.aborted) return
    say('')
    patch(main, content)
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof DaemonError) {
      say('')
      patch(main, failure(page, error))
    } else say('The daemon does not answer. It is asked again every few seconds; what is below may be old.')
  }
}

/** Only what changes is said: a screen reader would repeat it every few seconds. */
function say(text: string): void {
  if (connection.textContent !== text) connection.textContent = text
}

function failure(page: Page, error: DaemonError): readonly Node[] {
  return [
    element('h1', {}, page.title),
    element('p', {}, error.message),
    element('p', { class: 'quiet' }, `${error.remedy} (${error.code})`),
  ]
}

/** Until it is time again, or somebody looks at the page again, or leaves it. A page that nobody sees asks nothing. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
      resolve()
    }
    const onVisible = () => {
      if (!document.hidden) end()
    }
    const timer = setTimeout(() => {
      if (!document.hidden) end()
    }, ms)
    document.addEventListener('visibilitychange', onVisible)
    signal.addEventListener('abort', end, { once: true })
  })
}

addEventListener('hashchange', () => {
  // The skip link is no page.
  if (location.hash === '#content') return
  void goTo(placeOf(location.hash), false)
})
void goTo(placeOf(location.hash), true)
