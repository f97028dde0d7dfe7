import { alarmList, alarmMetrics, alarmsOf } from './alarms.js'
import type { MetricsAnswer, Status } from './answers.js'
import { read } from './api.js'
import { element, pageLink } from './element.js'
import { bytes, count, exact, percent, perSecond, seconds } from './format.js'
import type { Page, Showing } from './page.js'
import { facts, figures, heading } from './parts.js'
import { History, sumOf } from './samples.js'

const figureMetrics = [
  'appended_records_total',
  'appended_bytes_total',
  'commits_total',
  'commit_seconds',
  'commit_queue_bytes',
  'commit_queue_bytes_max',
  'store_bytes',
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
]

const metricsPath = `metrics?names=${[...figureMetrics, ...alarmMetrics].join(',')}`

const history = new History()

export const overviewPage: Page = { name: '', title: 'Overview', everyMs: 2000, show }

async function show({ signal }: Showing): Promise<readonly Node[]> {
  const [status, metrics] = await Promise.all([
    read<Status>('status', signal),
    read<MetricsAnswer>(metricsPath, signal),
  ])
  history.add(metrics)
  return [
    element('h1', {}, 'Overview'),
    element('section', { 'aria-label': 'Alarms', 'aria-live': 'polite' }, alarmList(alarmsOf(status, metrics))),
    heading('Now'),
    figures(figuresNow()),
    heading('What is there'),
    facts(contents(status)),
    heading('The daemon'),
    facts(daemonFacts(status, metrics)),
  ]
}

function figuresNow() {
  const { newest } = history
  const shown = (value: number | undefined, form: (value: number) => string) =>
    value === undefined ? undefined : form(value)
  const moving = (title: string, name: string, form: (value: number) => string) => ({
    title,
    value: shown(history.rate(name), form),
    past: history.rates(name),
  })
  const queue = sumOf(newest, 'commit_queue_bytes')
  const queueMax = sumOf(newest, 'commit_queue_bytes_max')
  return [
    moving('Records appended', 'appended_records_total', perSecond),
    moving('Bytes appended', 'appended_bytes_total', (value) => `${bytes(value)}/s`),
    moving('Commits', 'commits_total', perSecond),
    moving('Processors in use', 'process_cpu_seconds_total', count2),
    { title: 'Median commit', value: shown(history.quantile('commit_seconds', 0.5), seconds) },
    { title: 'Slowest 1 % of commits', value: shown(history.quantile('commit_seconds', 0.99), seconds) },
    {
      title: 'Commit queue in use',
      value: queue === undefined || queueMax === undefined ? undefined : percent(queue / queueMax),
    },
    { title: 'Store', value: shown(sumOf(newest, 'store_bytes'), bytes) },
    { title: 'Free disk', value: shown(sumOf(newest, 'storage_free_bytes'), bytes) },
    { title: 'Memory', value: shown(sumOf(newest, 'process_resident_memory_bytes'), bytes) },
  ]
}

const count2 = (value: number): string => value.toFixed(2)

function contents(status: Status) {
  return [
    ['Tables', linked(status.tables, 'tables')],
    ['Streams', linked(status.streams, 'shards')],
    ['Groups', linked(status.groups, 'groups')],
    ['Pipelines', linked(status.pipelines, 'pipelines')],
    ['Bridges', linked(status.bridges, 'bridges')],
  ] as const
}

const linked = (value: number | undefined, page: string) =>
  value === undefined ? undefined : pageLink(count(value), page)

function daemonFacts(status: Status, metrics: MetricsAnswer) {
  const { version, state, dataDirectory, durability, storeId, epoch, nextSequence } = status
  return [
    ['State', state],
    ['Version', version],
    ['Up for', seconds(metrics.uptimeMs / 1000)],
    ['Durability', durability],
    ['Data directory', dataDirectory],
    ['Store id', storeId === undefined ? undefined : `${storeId}, epoch ${epoch}`],
    ['Next sequence number', nextSequence === undefined ? undefined : exact(nextSequence)],
  ] as const
}
