import type { MetricsAnswer, Pipeline } from './answers.js'
import { read } from './api.js'
import { element, pageLink } from './element.js'
import { bytes, count, perSecond } from './format.js'
import type { Page, Showing } from './page.js'
import { showParkedKey } from './parked.js'
import { pageNumber, pager, rowsMax, table } from './parts.js'
import { showPipeline } from './pipeline.js'
import { ageText, delayText, stateText } from './pipeline-texts.js'

export const pipelinesPage: Page = { name: 'pipelines', title: 'Pipelines', everyMs: 3000, show }

function show(showing: Showing): Promise<readonly Node[]> {
  const [name, part, step, key] = showing.names
  if (name === undefined || name === '') return showAll(showing)
  if (part === 'parked' && step !== undefined && key !== undefined)
    return showParkedKey({ pipeline: name, step, key }, showing.signal)
  return showPipeline(name, showing)
}

async function showAll({ query, signal }: Showing): Promise<readonly Node[]> {
  const [{ pipelines }, metrics] = await Promise.all([
    read<{ pipelines: readonly Pipeline[] }>('pipelines', signal),
    read<MetricsAnswer>('metrics?names=group_lag_seconds,pipeline_state_bytes', signal),
  ])
  const valuesOf = (metric: string, label: string) =>
    new Map(
      metrics.samples.filter(({ name }) => name === metric).map(({ labels, value }) => [labels[label] ?? '', value]),
    )
  const lags = valuesOf('group_lag_seconds', 'group')
  const sizes = valuesOf('pipeline_state_bytes', 'pipeline')
  const number = pageNumber(query.get('page'))
  const rows = pipelines.toSorted((a, b) => (a.name < b.name ? -1 : 1)).slice((number - 1) * rowsMax, number * rowsMax)
  return [
    element('h1', {}, 'Pipelines'),
    table<Pipeline>(
      'Pipelines',
      [
        { title: 'Pipeline', kind: 'name', cell: ({ name }) => pageLink(name, 'pipelines', name) },
        { title: 'State', kind: 'text', cell: ({ state }) => stateText(state) },
        { title: 'Version', kind: 'number', cell: ({ revision }) => revision },
        { title: 'Records', kind: 'number', cell: ({ recordsPerSecond }) => perSecond(recordsPerSecond) },
        { title: 'Lag in time', kind: 'number', cell: ({ groups }) => lagText(groups, lags) },
        { title: 'Watermark behind', kind: 'number', cell: ({ watermark }) => delayText(watermark, metrics.at) },
        { title: 'Parked', kind: 'number', cell: ({ parked }) => count(parked.records) },
        { title: 'State size on disk', kind: 'number', cell: ({ name }) => bytes(sizes.get(name) ?? 0) },
      ],
      rows,
      number > 1 ? 'No more pipelines.' : 'There are no pipelines. millrace pipelines deploy FILE runs one.',
    ),
    ...[pager(number, pipelines.length > number * rowsMax, (to) => `#/pipelines?page=${to}`)].flatMap(
      (each) => each ?? [],
    ),
  ]
}

/** The oldest record that any of the sources has not passed. */
function lagText(groups: readonly string[], lags: ReadonlyMap<string, number>): string {
  const known = groups.flatMap((group) => lags.get(group) ?? [])
  return known.length === 0 ? '–' : ageText(Math.max(...known))
}
