import { type Child, element, svgElement } from './element.js'

/** Rows that one table shows; a daemon may have thousands, and a page must not. */
export const rowsMax = 200

export interface Column<Row> {
  readonly title: string
  /** Numbers stand to the right. */
  readonly kind: 'name' | 'text' | 'number'
  readonly cell: (row: Row) => Child
}

/** A table whose first column heads its rows; `none` is said when it has none. */
export function table<Row>(
  label: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  none: string,
): HTMLElement {
  if (rows.length === 0) return element('p', { class: 'quiet' }, none)
  const head = columns.map(({ title, kind }) => element('th', { scope: 'col', class: kind }, title))
  const body = rows
    .slice(0, rowsMax)
    .map((row) =>
      element(
        'tr',
        {},
        ...columns.map(({ kind, cell }, i) =>
          i === 0 ? element('th', { scope: 'row', class: kind }, cell(row)) : element('td', { class: kind }, cell(row)),
        ),
      ),
    )
  const made = element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body))
  const more = rows.length - body.length
  // Whoever has no mouse scrolls it with the keys, so it must be able to have the focus.
  const scroll = element('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: 0 }, made)
  return element(
    'div',
    {},
    scroll,
    more > 0 ? element('p', { class: 'quiet' }, `and ${more} more, which the command line lists`) : undefined,
  )
}

/** The number of a list's page in the address: from 1 on, and 1 for what is no number. */
export function pageNumber(text: string | null): number {
  const number = Number(text)
  return Number.isSafeInteger(number) && number > 0 ? number : 1
}

/** Links to the page of a list before and the one behind; nothing where there is only one. */
export function pager(
  number: number,
  hasMore: boolean,
  addressOf: (number: number) => string,
): HTMLElement | undefined {
  if (number === 1 && !hasMore) return undefined
  return element(
    'nav',
    { class: 'pager', 'aria-label': 'Pages of the list' },
    number > 1 ? element('a', { href: addressOf(number - 1) }, 'Before') : undefined,
    ` page ${number} `,
    hasMore ? element('a', { href: addressOf(number + 1) }, 'More') : undefined,
  )
}

/** Text that keeps its lines, such as a stack; of any length, so it scrolls. */
export const verbatim = (label: string, text: string): HTMLElement =>
  element('pre', { role: 'region', 'aria-label': label, tabindex: 0 }, text)

export interface Figure {
  readonly title: string
  readonly value: string | undefined
  /** What it was, oldest first. */
  readonly past?: readonly number[]
}

export function figures(list: readonly Figure[]): HTMLElement {
  return element(
    'dl',
    { class: 'figures' },
    ...list.map(({ title, value, past }) =>
      element(
        'div',
        { class: 'figure' },
        element('dt', {}, title),
        element('dd', {}, value ?? '–', past ? sparkline(past) : undefined),
      ),
    ),
  )
}

const sparkWidth = 120
const sparkHeight = 28

/** A line without axes; the number that it leads to stands above it, so it says nothing to a screen reader. */
function sparkline(values: readonly number[]): SVGElement {
  const top = Math.max(...values, Number.MIN_VALUE)
  const step = sparkWidth / Math.max(1, values.length - 1)
  const points = values.map((value, i) => {
    return `${(i * step).toFixed(1)},${(sparkHeight - 2 - (value / top) * (sparkHeight - 4)).toFixed(1)}`
  })
  return svgElement(
    'svg',
    { viewBox: `0 0 ${sparkWidth} ${sparkHeight}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svgElement('polyline', { class: 'spark', points: points.join(' ') }),
  )
}

export function facts(list: readonly (readonly [string, Child])[]): HTMLElement {
  return element(
    'dl',
    { class: 'facts' },
    ...list.flatMap(([title, value]) => [element('dt', {}, title), element('dd', {}, value ?? '–')]),
  )
}

export const heading = (text: string): HTMLElement => element('h2', {}, text)

/** A moment, in the reader's own time and language. Event time may be any number: what is no date is shown as it is. */
export function moment(ms: number): HTMLElement {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return element('span', {}, `${ms} ms`)
  return element('time', { datetime: date.toISOString() }, date.toLocaleString())
}
