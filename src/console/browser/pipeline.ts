import type { GraphNode, InspectedPipeline, Outbox, PipelineError, PipelineStage } from './answers.js'
import { read } from './api.js'
import { type Child, element, pageLink } from './element.js'
import { bytes, count, exact, percent, perSecond, seconds, shortened } from './format.js'
import type { Showing } from './page.js'
import { parkedList } from './parked.js'
import { facts, figures, heading, moment, pageNumber, table, verbatim } from './parts.js'
import { holding, inputTable } from './pipeline-inputs.js'
import { ageText, delayText, stateText } from './pipeline-texts.js'
import { command } from './shell.js'
import { topology } from './topology.js'

/** Letters of an error that are shown at once. */
const messageMax = 500
/** Rates that a sparkline shows. */
const pastMax = 60

/** Rates as this page saw them, of the pipeline that it showed last. */
let past: { readonly name: string; readonly rates: number[] } = { name: '', rates: [] }

export async function showPipeline(name: string, { query, signal }: Showing): Promise<readonly Node[]> {
  const [pipeline, parked] = await Promise.all([
    read<InspectedPipeline>(`pipelines/${encodeURIComponent(name)}`, signal),
    parkedList(name, pageNumber(query.get('page')), signal),
  ])
  if (past.name !== name) past = { name, rates: [] }
  past.rates.push(pipeline.recordsPerSecond)
  if (past.rates.length > pastMax) past.rates.shift()
  const { error, graph, stages, inputs, outboxes, at } = pipeline
  return [
    element('h1', {}, `Pipeline ${name}`),
    element('p', {}, pageLink('All pipelines', 'pipelines')),
    element('section', { 'aria-label': 'Newest error' }, error ? errorOf(error, graph) : undefined),
    figures(figuresOf(pipeline)),
    heading('Topology'),
    topology(graph, stages),
    heading('Steps'),
    stepTable(graph),
    heading('Sources'),
    holding(pipeline),
    inputTable(inputs, at),
    heading('Stages'),
    stageTable(stages, at),
    ...(outboxes ? [heading('On their way out'), outboxTable(outboxes)] : []),
    heading('Parked records'),
    ...parked,
    heading('The pipeline'),
    facts(factsOf(pipeline)),
  ]
}

function errorOf({ code, message, stack, step, sequence, shard, at }: PipelineError, graph: readonly GraphNode[]) {
  const node = step === undefined ? undefined : graph[step + 1]
  const places = [
    node && `at step ${node.node} ${node.label}`,
    sequence === undefined ? undefined : `of the record ${exact(sequence)}`,
    shard === undefined ? undefined : `in shard ${shard}`,
  ].filter((each) => each !== undefined)
  return element(
    'ul',
    { class: 'alarms' },
    element(
      'li',
      { class: 'critical' },
      element('strong', {}, code),
      ` ${shortened(message, messageMax)} `,
      element('span', { class: 'quiet' }, `${places.join(' ')} `, moment(at)),
      stack === undefined
        ? undefined
        : element('details', {}, element('summary', {}, 'Stack'), verbatim('Stack of the error', stack)),
    ),
  )
}

function figuresOf(pipeline: InspectedPipeline) {
  const { recordsPerSecond, inputs, watermark, at, parked, stateBytes, timers, barrier } = pipeline
  return [
    { title: 'Records', value: perSecond(recordsPerSecond), past: past.rates },
    { title: 'Lag in time', value: ageText(Math.max(0, ...inputs.map(({ lagSeconds }) => lagSeconds))) },
    { title: 'Lag in records, at most', value: count(inputs.reduce((sum, { lagRecords }) => sum + lagRecords, 0)) },
    { title: 'Watermark behind', value: delayText(watermark, at) },
    { title: 'Parked', value: count(parked.records) },
    { title: 'State size on disk', value: bytes(stateBytes) },
    { title: 'Timers', value: timers.isMore ? `over ${count(timers.count)}` : count(timers.count) },
    { title: 'Commits', value: count(barrier.committed) },
    { title: 'Newest commit took', value: barrier.committed === 0 ? undefined : seconds(barrier.secondsLast) },
  ]
}

function stepTable(graph: readonly GraphNode[]): HTMLElement {
  return table<GraphNode>(
    'Steps',
    [
      { title: 'Step', kind: 'name', cell: ({ node, label }) => `${node} ${label}` },
      { title: 'What of it', kind: 'name', cell: ({ detail, guarantee }) => detail || guarantee },
      { title: 'After', kind: 'text', cell: ({ inputs }) => inputs.join(', ') || '–' },
      { title: 'Stage', kind: 'text', cell: ({ stages }) => stages.join(', ') },
      { title: 'Now', kind: 'number', cell: ({ rowsPerSecond }) => perSecond(rowsPerSecond) },
      { title: 'In all', kind: 'number', cell: ({ rowsIn }) => count(rowsIn) },
      { title: 'Failures', kind: 'number', cell: ({ failures }) => count(failures) },
      { title: 'Parked', kind: 'number', cell: ({ parked }) => count(parked) },
    ],
    graph,
    'It has no steps.',
  )
}

function stageTable(stages: readonly PipelineStage[], at: number): HTMLElement {
  return table<PipelineStage>(
    'Stages',
    [
      { title: 'Stage', kind: 'name', cell: ({ stage, label }) => `${stage} ${label}` },
      { title: 'Runs', kind: 'text', cell: ({ kind }) => (kind === 'source' ? 'once a shard' : 'once a thread') },
      {
        title: 'Watermark',
        kind: 'text',
        cell: ({ watermark }) => (watermark === undefined ? '–' : moment(watermark)),
      },
      { title: 'Behind', kind: 'number', cell: ({ watermark }) => delayText(watermark, at) },
    ],
    stages,
    'It has no stages.',
  )
}

function outboxTable(outboxes: readonly Outbox[]): HTMLElement {
  return table<Outbox>(
    'On their way out',
    [
      { title: 'Sink', kind: 'name', cell: ({ sink }) => sink },
      { title: 'Waiting', kind: 'number', cell: ({ records, bytes: size }) => `${count(records)}, ${bytes(size)}` },
      { title: 'Delivered', kind: 'number', cell: ({ delivered }) => count(delivered) },
      { title: 'Attempts', kind: 'number', cell: ({ attempts }) => count(attempts) },
      { title: 'Failures', kind: 'number', cell: ({ failures }) => count(failures) },
      { title: 'Dead letters', kind: 'number', cell: ({ deadLetters }) => count(deadLetters) },
      {
        title: 'State',
        kind: 'text',
        cell: ({ isFull, breaker }) => (isFull ? 'full: the sources wait' : breakerText[breaker]),
      },
      { title: 'Newest error', kind: 'name', cell: ({ error }) => shortened(error ?? '–', messageMax) },
    ],
    outboxes,
    'Nothing goes outside.',
  )
}

const breakerText = { closed: 'delivering', open: 'waiting after failures', halfOpen: 'trying again' } as const

function factsOf(pipeline: InspectedPipeline): readonly (readonly [string, Child])[] {
  const { name, state, revision, attempts, createdAt, tasks, bounded } = pipeline
  const verb = state === 'paused' || state === 'failed' ? 'resume' : 'pause'
  return [
    ['State', stateText(state)],
    ['Version', revision],
    ...(bounded ? [['Done', percent(bounded.all === 0 ? 1 : bounded.passed / bounded.all)] as const] : []),
    ['Failed attempts', attempts],
    ['Tasks', tasks],
    ['Made', moment(createdAt)],
    // This page changes nothing: whoever may run the command may do it.
    [`To ${verb} it`, element('code', {}, command(['pipelines', verb, name]))],
  ]
}
