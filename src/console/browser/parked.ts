import type { ParkedAnswer, ParkedRecord } from './answers.js'
import { read } from './api.js'
import { element, pageLink } from './element.js'
import { count, exact, shortened } from './format.js'
import { facts, heading, moment, pager, table, verbatim } from './parts.js'
import { command } from './shell.js'

/** Keys that one page lists, and rows of one key. */
const keysMax = 50
const rowsMax = 50
/** Letters of a key, an error and a value that are shown. */
const keyMax = 80
const messageMax = 200
const valueMax = 20_000

/** Which key of which step. */
export interface ParkedKey {
  readonly pipeline: string
  readonly step: string
  readonly key: string
}

/** The keys whose records wait, a page of them. */
export async function parkedList(pipeline: string, number: number, signal: AbortSignal): Promise<readonly Node[]> {
  const query = new URLSearchParams({ pipeline, limit: `${keysMax}`, skip: `${(number - 1) * keysMax}` })
  const { parked, more } = await read<ParkedAnswer>(`parked?${query}`, signal)
  const list = table<ParkedRecord>(
    'Parked records',
    [
      {
        title: 'Key',
        kind: 'name',
        cell: ({ step, key }) =>
          pageLink(key === '' ? '(empty)' : shortened(key, keyMax), 'pipelines', pipeline, 'parked', step, key),
      },
      { title: 'Step', kind: 'name', cell: ({ step }) => step },
      { title: 'Error', kind: 'name', cell: ({ error }) => messageOf(error) },
      { title: 'Attempts', kind: 'number', cell: ({ attempts }) => attempts },
      { title: 'Behind it', kind: 'number', cell: ({ behind }) => count(behind) },
      { title: 'Sequence', kind: 'number', cell: ({ sequence }) => (sequence === undefined ? '–' : exact(sequence)) },
      { title: 'Parked', kind: 'text', cell: ({ parkedAt }) => moment(parkedAt) },
    ],
    parked,
    number > 1 ? 'No more keys wait.' : 'Nothing is parked.',
  )
  const pages = pager(number, more > 0, (to) => `#/pipelines/${encodeURIComponent(pipeline)}?page=${to}`)
  return pages ? [list, pages] : [list]
}

const messageOf = (error: ParkedRecord['error']): string =>
  error ? shortened(error.message.split('\n')[0] ?? '', messageMax) : 'waits behind another'

/** One key: what failed, with its stack and its input, and what waits behind it. */
export async function showParkedKey(of: ParkedKey, signal: AbortSignal): Promise<readonly Node[]> {
  const { pipeline, step, key } = of
  const query = new URLSearchParams({ pipeline, step, key, rows: `${rowsMax}`, limit: '1' })
  const { parked } = await read<ParkedAnswer>(`parked?${query}`, signal)
  const [first, ...waiting] = parked
  return [
    element('h1', {}, `Parked at ${step}`),
    element('p', {}, pageLink(`Pipeline ${pipeline}`, 'pipelines', pipeline)),
    ...(first ? parkedParts(of, first, waiting) : [element('p', {}, 'Nothing of this key is parked any more.')]),
  ]
}

function parkedParts(of: ParkedKey, first: ParkedRecord, waiting: readonly ParkedRecord[]): readonly Node[] {
  const { error, sequence, time, parkedAt, attempts, behind, kind } = first
  const options = { pipeline: of.pipeline, step: of.step, key: of.key }
  return [
    facts([
      ['Key', element('code', {}, of.key)],
      ['What', kind === 'timer' ? 'a timer' : 'a record'],
      ['Error', error ? `${error.message} (${error.code})` : undefined],
      ['Attempts', attempts],
      ['Sequence number', sequence === undefined ? undefined : exact(sequence)],
      ['Its time', moment(time)],
      ['Parked', moment(parkedAt)],
      ['Waiting behind it', count(behind)],
    ]),
    ...(error?.stack === undefined ? [] : [heading('Stack'), verbatim('Stack', error.stack)]),
    ...(kind === 'timer' ? [] : [heading('Input'), verbatim('Input', valueText(first.value))]),
    heading('What can be done'),
    facts([
      ['Try it again, in order', element('code', {}, command(['parked', 'retry'], options))],
      ['Give up this record', element('code', {}, command(['parked', 'drop'], options))],
    ]),
    ...(waiting.length === 0 ? [] : [heading('Waiting behind it'), waitingTable(waiting)]),
    ...(behind > waiting.length
      ? [element('p', { class: 'quiet' }, `and ${count(behind - waiting.length)} more, which the command line lists`)]
      : []),
  ]
}

function waitingTable(waiting: readonly ParkedRecord[]): HTMLElement {
  return table<ParkedRecord>(
    'Waiting behind it',
    [
      { title: 'Number', kind: 'number', cell: ({ number }) => exact(number) },
      { title: 'Sequence', kind: 'number', cell: ({ sequence }) => (sequence === undefined ? '–' : exact(sequence)) },
      {
        title: 'Input',
        kind: 'name',
        cell: ({ value }) => element('code', {}, shortened(JSON.stringify(value) ?? '', messageMax)),
      },
      { title: 'Parked', kind: 'text', cell: ({ parkedAt }) => moment(parkedAt) },
    ],
    waiting,
    'Nothing waits.',
  )
}

const valueText = (value: unknown): string => shortened(JSON.stringify(value, undefined, 2) ?? '', valueMax)
