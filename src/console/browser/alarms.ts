import type { MetricsAnswer, Status } from './answers.js'
import { element } from './element.js'
import { bytes } from './format.js'
import { sumOf } from './samples.js'

export interface Alarm {
  readonly severity: 'critical' | 'warning'
  readonly what: string
  readonly remedy: string
}

/** The metrics that the alarms look at. */
export const alarmMetrics: readonly string[] = [
  'storage_free_bytes',
  'storage_free_bytes_min',
  'listen_insecure',
  'clock_alarm',
  'pipeline_failed',
  'parked_records',
  'bridge_running',
  'bridge_failed',
  'bridge_paused',
  'store_writes_stopped',
  'worker_restarts_total',
  'group_trimmed',
  'shards_unsplittable',
]

/** What is wrong at this moment, the worst first. The alerts of config/prometheus look at more, and at what was. */
export function alarmsOf(status: Status, metrics: MetricsAnswer | undefined): readonly Alarm[] {
  const alarms: Alarm[] = []
  const add = (severity: Alarm['severity'], what: string, remedy: string) => alarms.push({ severity, what, remedy })
  const isSet = (name: string) => (sumOf(metrics, name) ?? 0) > 0
  if (status.state !== 'ready')
    add(
      'critical',
      `The store is closed: ${status.reason ?? status.state}`,
      'Requests are refused. Look at the log and at the disk.',
    )
  if (status.storageFull)
    add('critical', 'The disk is nearly full: writes are refused, reads go on.', 'Make room on the disk.')
  else if (isNearlyFull(metrics))
    add(
      'warning',
      `Only ${bytes(sumOf(metrics, 'storage_free_bytes') ?? 0)} of the disk are free.`,
      'Make room before writes are refused.',
    )
  if (isSet('clock_alarm'))
    add(
      'critical',
      'The wall clock jumped: nothing is deleted by age.',
      'Look at the clock, then confirm it with POST /v1/clock/confirm.',
    )
  for (const name of named(metrics, 'pipeline_failed', 'pipeline'))
    add(
      'critical',
      `The pipeline ${name} has stopped as failed.`,
      `millrace pipelines show ${name} says at which record and why.`,
    )
  for (const name of new Set(named(metrics, 'parked_records', 'pipeline')))
    add(
      'warning',
      `Records of the pipeline ${name} are parked: their keys wait, others go on.`,
      'Its page says at which step and why.',
    )
  for (const name of named(metrics, 'bridge_failed', 'bridge'))
    add('critical', `The bridge ${name} has failed.`, `millrace bridges show ${name} says why.`)
  for (const name of waitingBridges(metrics))
    add(
      'warning',
      `The bridge ${name} delivers nothing: it waits for its broker.`,
      'It goes on by itself when the broker answers.',
    )
  for (const name of named(metrics, 'group_trimmed', 'group'))
    add(
      'critical',
      `The group ${name} was overtaken by retention and has lost records.`,
      'Seek it to where it may go on, and give the stream a longer retention.',
    )
  if (isSet('shards_unsplittable'))
    add(
      'warning',
      'A shard has all its load from one key; no split relieves it.',
      'Its page and millrace shards name the key.',
    )
  if (isSet('store_writes_stopped'))
    add('warning', 'RocksDB lets no write in until it has caught up.', 'The disk is too slow for this load.')
  if (isSet('worker_restarts_total'))
    add('warning', 'Worker threads have ended and were replaced since the start.', 'The log says which pipeline ran.')
  if (status.durability === 'relaxed')
    add(
      'warning',
      'Durability is relaxed: a power failure can take back what was acknowledged.',
      'Set durability to synced, unless this is meant.',
    )
  if (isSet('listen_insecure'))
    add(
      'warning',
      'The daemon may be reached beyond loopback, and nobody is authenticated.',
      'Let only trusted hosts reach its port.',
    )
  return alarms
}

function isNearlyFull(metrics: MetricsAnswer | undefined): boolean {
  const free = sumOf(metrics, 'storage_free_bytes')
  const bound = sumOf(metrics, 'storage_free_bytes_min')
  return free !== undefined && bound !== undefined && free < 4 * bound
}

/** The values of a label of which the metric is not 0. */
const named = (metrics: MetricsAnswer | undefined, name: string, label: string): readonly string[] =>
  metrics?.samples
    .filter((sample) => sample.name === name && sample.value > 0)
    .map(({ labels }) => labels[label] ?? '') ?? []

function waitingBridges(metrics: MetricsAnswer | undefined): readonly string[] {
  const excused = new Set([...named(metrics, 'bridge_failed', 'bridge'), ...named(metrics, 'bridge_paused', 'bridge')])
  return (metrics?.samples ?? [])
    .filter(({ name, value }) => name === 'bridge_running' && value === 0)
    .map(({ labels }) => labels.bridge ?? '')
    .filter((bridge) => !excused.has(bridge))
}

export function alarmList(alarms: readonly Alarm[]): HTMLElement {
  if (alarms.length === 0) return element('p', { class: 'fine' }, 'Nothing is wrong.')
  const rank = ({ severity }: Alarm): number => (severity === 'critical' ? 0 : 1)
  return element(
    'ul',
    { class: 'alarms' },
    ...alarms
      .toSorted((a, b) => rank(a) - rank(b))
      .map(({ severity, what, remedy }) =>
        element(
          'li',
          { class: severity },
          element('strong', {}, severity),
          ` ${what} `,
          element('span', { class: 'quiet' }, remedy),
        ),
      ),
  )
}
