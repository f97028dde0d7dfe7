import type { MetricsAnswer, Shard, Stream } from './answers.js'
import { read, readIfThere } from './api.js'
import { element, pageLink } from './element.js'
import { bytes, count, exact, percent, perSecond } from './format.js'
import { hashRange } from './hash-range.js'
import type { Page, Showing } from './page.js'
import { heading, moment, table } from './parts.js'
import { heatClass, heatOf, shardMap } from './shard-map.js'
import {
  type Decision,
  decisionTable,
  type HeavyKey,
  heavyKeyTable,
  loadsOf,
  type ShardTop,
  type TopAnswer,
} from './top.js'

export const shardsPage: Page = {
  name: 'shards',
  title: 'Shards',
  everyMs: 3000,
  show: ({ names, signal }: Showing) => (names[0] === undefined ? showStreams(signal) : showStream(names[0], signal)),
}

async function showStreams(signal: AbortSignal): Promise<readonly Node[]> {
  const [{ streams }, metrics] = await Promise.all([
    read<{ streams: readonly Stream[] }>('streams', signal),
    read<MetricsAnswer>('metrics?names=shard_load', signal),
  ])
  const loads = new Map(metrics.samples.map(({ labels, value }) => [labels.stream, value]))
  return [
    element('h1', {}, 'Shards'),
    table<Stream>(
      'Streams',
      [
        { title: 'Stream', kind: 'name', cell: ({ name }) => pageLink(name, 'shards', name) },
        {
          title: 'Kind',
          kind: 'text',
          cell: ({ kind, closedAt }) => (closedAt === undefined ? kind : `${kind}, closed`),
        },
        { title: 'Open shards', kind: 'number', cell: ({ open }) => count(open) },
        { title: 'All shards', kind: 'number', cell: ({ shards }) => count(shards) },
        { title: 'Hottest shard', kind: 'number', cell: ({ name }) => loadText(loads.get(name)) },
        { title: 'Made', kind: 'text', cell: ({ createdAt }) => moment(createdAt) },
      ],
      streams,
      'There are no streams. A table has one when a stream, a pipeline or a bridge needs its changes.',
    ),
  ]
}

async function showStream(name: string, signal: AbortSignal): Promise<readonly Node[]> {
  const path = `streams/${encodeURIComponent(name)}`
  const [{ shards }, top, history] = await Promise.all([
    read<{ shards: readonly Shard[] }>(`${path}/shards`, signal),
    readIfThere<TopAnswer>(`${path}/top`, signal),
    readIfThere<{ decisions?: readonly Decision[] }>(`${path}/history`, signal),
  ])
  const loads = loadsOf(top)
  const open = shards.filter(({ state }) => state === 'open').toSorted((a, b) => (a.low < b.low ? -1 : 1))
  const sealed = shards.filter(({ state }) => state === 'sealed')
  return [
    element('h1', {}, `Shards of ${name}`),
    element('p', {}, pageLink('All streams', 'shards')),
    shardMap(open, loads),
    mapLegend(loads.size > 0),
    heading('Open shards'),
    openTable(open, loads),
    heading('Heavy keys'),
    heavyKeys(top),
    heading('Splits and merges'),
    history
      ? decisionTable(history.decisions ?? [])
      : element('p', { class: 'quiet' }, 'This daemon keeps no history.'),
    heading('Sealed shards'),
    sealedTable(sealed),
  ]
}

function mapLegend(isKnown: boolean): HTMLElement {
  const text = isKnown
    ? 'Each open shard by its range of key hashes; the redder, the nearer to or above the target of a shard.'
    : 'Each open shard by its range of key hashes. How hot they are is not known here.'
  return element('p', { class: 'quiet' }, text)
}

function heavyKeys(top: TopAnswer | undefined): HTMLElement {
  if (!top) return element('p', { class: 'quiet' }, 'This daemon measures no keys.')
  const keys: readonly HeavyKey[] =
    top.shards?.flatMap(({ shard, keys = [] }) => keys.map((key) => ({ ...key, shard }))) ?? []
  return heavyKeyTable(keys)
}

function openTable(open: readonly Shard[], loads: ReadonlyMap<number, ShardTop>): HTMLElement {
  return table<Shard>(
    'Open shards',
    [
      { title: 'Shard', kind: 'text', cell: ({ id }) => id },
      { title: 'Load', kind: 'text', cell: ({ id }) => loadCell(loads.get(id)) },
      { title: 'Records', kind: 'number', cell: ({ id }) => numberOr(loads.get(id)?.recordsPerSecond, perSecond) },
      {
        title: 'Bytes',
        kind: 'number',
        cell: ({ id }) => numberOr(loads.get(id)?.bytesPerSecond, (value) => `${bytes(value)}/s`),
      },
      { title: 'Of all hashes', kind: 'number', cell: ({ low, high }) => shareOf(low, high) },
      { title: 'From hash', kind: 'text', cell: ({ low }) => element('code', {}, low) },
      { title: 'Parents', kind: 'text', cell: ({ parents }) => parents.join(', ') || '–' },
      { title: 'Newest record', kind: 'number', cell: ({ newestSequence }) => exact(newestSequence) },
    ],
    open,
    'There is no open shard: the stream is closed.',
  )
}

function sealedTable(sealed: readonly Shard[]): HTMLElement {
  return table<Shard>(
    'Sealed shards',
    [
      { title: 'Shard', kind: 'text', cell: ({ id }) => id },
      { title: 'Children', kind: 'text', cell: ({ children }) => children.join(', ') || '–' },
      { title: 'Of all hashes', kind: 'number', cell: ({ low, high }) => shareOf(low, high) },
      { title: 'From', kind: 'number', cell: ({ firstSequence }) => exact(firstSequence) },
      { title: 'To', kind: 'number', cell: ({ lastSequence }) => numberOr(lastSequence, exact) },
      { title: 'Sealed', kind: 'text', cell: ({ sealedAt }) => (sealedAt === undefined ? '–' : moment(sealedAt)) },
    ],
    sealed.toReversed(),
    'No shard was split or merged yet.',
  )
}

function shareOf(low: string, high: string): string {
  const { from, to } = hashRange(low, high)
  return to - from < 1e-6 ? 'one key' : percent(to - from)
}

function loadCell(load: ShardTop | undefined): Node | string {
  if (!load) return '–'
  return element(
    'span',
    {},
    element('span', { class: `heat ${heatClass(heatOf(load.load))}`, 'aria-hidden': 'true' }),
    percent(load.load),
    load.by === undefined || load.load < 0.1 ? undefined : ` by ${load.by}`,
  )
}

const loadText = (use: number | undefined): string => (use === undefined ? '–' : percent(use))
const numberOr = (value: number | undefined, form: (value: number) => string): string =>
  value === undefined ? '–' : form(value)
