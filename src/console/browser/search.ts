import type { MetricsAnswer, SearchAnswer, SearchHit, SearchIndex } from './answers.js'
import { DaemonError, read } from './api.js'
import { type Child, element, pageLink } from './element.js'
import { bytes, count, exact, seconds, shortened } from './format.js'
import type { Page, Showing } from './page.js'
import { facts, heading, table } from './parts.js'

/** Characters of a stored value that are shown. */
const valueLettersMax = 300

export const searchPage: Page = {
  name: 'search',
  title: 'Search',
  everyMs: 5000,
  show: ({ names, query, signal }: Showing) =>
    names[0] === undefined ? showAll(signal) : showOne(names[0], query.get('q') ?? '', signal),
}

const lagMetric = 'metrics?names=search_lag_seconds'

async function showAll(signal: AbortSignal): Promise<readonly Node[]> {
  const [{ indexes }, metrics] = await Promise.all([
    read<{ indexes: readonly SearchIndex[] }>('search', signal),
    read<MetricsAnswer>(lagMetric, signal),
  ])
  return [
    element('h1', {}, 'Search'),
    table<SearchIndex>(
      'Search indexes',
      [
        { title: 'Index', kind: 'name', cell: ({ name }) => pageLink(name, 'search', name) },
        { title: 'Table', kind: 'name', cell: ({ table: name }) => name },
        { title: 'State', kind: 'text', cell: stateOf },
        { title: 'Documents', kind: 'number', cell: ({ documents }) => count(documents) },
        { title: 'Lag in time', kind: 'number', cell: ({ name }) => age(metrics, name) },
        { title: 'Lag in records, at most', kind: 'number', cell: ({ lagRecords }) => count(lagRecords) },
        { title: 'Fields', kind: 'name', cell: ({ fields }) => fields.join(', ') },
      ],
      indexes,
      'There are no search indexes. millrace search create makes one.',
    ),
  ]
}

async function showOne(name: string, words: string, signal: AbortSignal): Promise<readonly Node[]> {
  const path = `search/${encodeURIComponent(name)}`
  const [index, metrics, found] = await Promise.all([
    read<SearchIndex>(path, signal),
    read<MetricsAnswer>(lagMetric, signal),
    words.trim() === '' ? undefined : foundBy(`${path}?q=${encodeURIComponent(words)}`, signal),
  ])
  return [
    element('h1', {}, `Search index ${name}`),
    element('p', {}, pageLink('All search indexes', 'search')),
    facts([
      ['Table', index.table],
      ['State', stateOf(index)],
      ['Why', index.reason],
      ['Fields', index.fields.join(', ')],
      ['Documents', count(index.documents)],
      ['Text', bytes(index.bytes)],
      ['Has every change up to', exact(index.sequence)],
      ['Lag in time', age(metrics, name)],
      ['Lag in records, at most', count(index.lagRecords)],
    ]),
    heading('Look for words'),
    searchForm(name, words),
    ...(found === undefined ? [] : hits(found)),
  ]
}

/** What is found, or why nothing is: an index that is being built is no reason to hide how far it is. */
async function foundBy(path: string, signal: AbortSignal): Promise<SearchAnswer | DaemonError> {
  try {
    return await read<SearchAnswer>(path, signal)
  } catch (error) {
    if (error instanceof DaemonError) return error
    throw error
  }
}

/** The words go into the address, so that a search can be shared and gone back to. */
function searchForm(name: string, words: string): HTMLElement {
  const form = element(
    'form',
    { role: 'search', class: 'search', 'data-index': name },
    element('label', { for: 'words' }, 'Words'),
    element('input', {
      id: 'words',
      name: 'words',
      type: 'search',
      maxlength: 1000,
      value: words,
      autocomplete: 'off',
    }),
    element('button', { type: 'submit' }, 'Search'),
  )
  // The element stays when the page shows itself again, also for another index: it says itself which one it is for.
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const asked = String(new FormData(form).get('words') ?? '')
    location.hash = `#/search/${encodeURIComponent(form.dataset.index ?? '')}?${new URLSearchParams({ q: asked })}`
  })
  return form
}

function hits(found: SearchAnswer | DaemonError): readonly Node[] {
  if (found instanceof DaemonError)
    return [element('p', {}, found.message), element('p', { class: 'quiet' }, `${found.remedy} (${found.code})`)]
  const { total, hits: best } = found
  return [
    element(
      'p',
      { role: 'status' },
      total === 0 ? 'Nothing is found.' : `${exact(total)} found; the best ${best.length}:`,
    ),
    ...(total === 0 ? [] : [hitTable(best)]),
  ]
}

function hitTable(best: readonly SearchHit[]): HTMLElement {
  return table<SearchHit>(
    'What is found',
    [
      { title: 'Key', kind: 'name', cell: ({ key }) => element('code', {}, keyText(key)) },
      { title: 'Score', kind: 'number', cell: ({ score }) => score.toFixed(2) },
      { title: 'Words', kind: 'name', cell: ({ terms }) => terms.join(', ') },
      { title: 'Stored', kind: 'name', cell: ({ fields }) => storedList(fields) },
    ],
    best,
    '',
  )
}

/** A key as DynamoDB JSON without its types: `1 / milk`. */
const keyText = (key: SearchHit['key']): string =>
  Object.values(key)
    .map((value) => String(Object.values(value)[0]))
    .join(' / ')

function storedList(fields: SearchHit['fields']): Child {
  const shown = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return element('div', {}, element('span', { class: 'quiet' }, `${name} `), shortened(text, valueLettersMax))
  })
  return element('div', {}, ...shown)
}

function stateOf({ state }: SearchIndex): Child {
  const text = state === 'waiting' ? 'waiting for its table' : state
  return state === 'full' || state === 'failed' ? element('span', { class: 'trouble' }, text) : text
}

function age(metrics: MetricsAnswer, name: string): string {
  const value = metrics.samples.find(({ labels }) => labels.index === name)?.value
  return value === undefined ? '–' : value === 0 ? 'none' : seconds(value)
}
