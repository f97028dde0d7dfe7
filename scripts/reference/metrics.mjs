import { Metrics } from '../../dist/runtime/index.js'
import { connectionMetrics, daemonMetrics, requestMetrics } from '../../dist/server/index.js'
import { code, page, table } from './markdown.mjs'

export function metricsPage() {
  const metrics = new Metrics('')
  requestMetrics(metrics)
  connectionMetrics(metrics, undefined)
  // Nothing is looked up until somebody scrapes.
  daemonMetrics(metrics).watch(undefined)
  const rows = metrics
    .describe()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, kind, help, labels }) => [code(name), kind, labels.map(code).join(', '), help])
  return page(
    'Metrics',
    `${code('GET /metrics')} answers in the text format of Prometheus; ${code('promtool check metrics')} passes. Units are seconds and
bytes. No label carries a key of a user's data; ${code('operation')} is an AWS operation or a path of the native API, ${code('code')} is
${code('ok')} or the name of an error. A histogram has ${code('_bucket')}, ${code('_sum')} and ${code('_count')}. Metrics of the rooms have no samples
while the store is closed. [Operating](../operating.md) says what to watch, and what each alert means.`,
    table(['metric', 'kind', 'labels', 'what it is'], rows),
  )
}
