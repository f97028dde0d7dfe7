import type { Rooms } from '../daemon/index.js'
import type { Sample } from '../runtime/index.js'
import type { ReadRooms } from './daemon-metrics.js'

type Pipeline = ReturnType<Rooms['pipelines']['all']> extends Iterable<infer Each> ? Each : never
type Outbox = ReturnType<Pipeline['outboxes']>[number]['outbox']
type StepCount = ReturnType<Pipeline['stepCounts']>[number]

/** What the pipelines can tell. Rows that a failed attempt had seen are counted again when they are read again. */
export function pipelineMetrics(read: ReadRooms): void {
  const perPipeline = (
    name: string,
    kind: 'gauge' | 'counter',
    help: string,
    look: (pipeline: Pipeline) => number | undefined,
  ): void =>
    read(name, kind, help, ['pipeline'], ({ pipelines }) =>
      [...pipelines.all()].flatMap((pipeline) => {
        const value = look(pipeline)
        return value === undefined ? [] : [{ labels: { pipeline: pipeline.row.plan.name }, value }]
      }),
    )
  const perStep = (name: string, help: string, look: (step: StepCount) => number | undefined): void =>
    read(name, 'counter', help, ['pipeline', 'step'], ({ pipelines }) =>
      [...pipelines.all()].flatMap((pipeline) => samplesOfSteps(pipeline, look)),
    )

  perStep('operator_records_in_total', 'Records that went into a step.', ({ rowsIn }) => rowsIn)
  perStep('operator_records_out_total', 'Records that a step gave to the next.', ({ rowsOut }) => rowsOut)
  perStep('operator_records_failed_total', 'Records at which a step threw or never ended.', ({ failures }) => failures)
  perStep('sink_records_total', 'Records that went into a sink.', ({ kind, rowsIn }) =>
    kind === 'sink' || kind === 'through' ? rowsIn : undefined,
  )
  read(
    'operator_events_total',
    'counter',
    'What steps counted beside records: late ones, dropped ones, matches that were given up.',
    ['pipeline', 'step', 'event'],
    ({ pipelines }) =>
      [...pipelines.all()].flatMap((pipeline) =>
        pipeline.stepCounts().flatMap(({ label, events }) =>
          [...events].map(([event, value]) => ({
            labels: { pipeline: pipeline.row.plan.name, step: label, event },
            value,
          })),
        ),
      ),
  )
  const perOutbox = (name: string, kind: 'gauge' | 'counter', help: string, look: (outbox: Outbox) => number): void =>
    read(name, kind, help, ['pipeline', 'sink'], ({ pipelines }) =>
      [...pipelines.all()].flatMap((pipeline) =>
        pipeline
          .outboxes()
          .map(({ sink, outbox }) => ({ labels: { pipeline: pipeline.row.plan.name, sink }, value: look(outbox) })),
      ),
    )
  perOutbox('outbox_records', 'gauge', 'Results that wait to be delivered outside.', ({ pending }) => pending.records)
  perOutbox(
    'outbox_bytes',
    'gauge',
    'Bytes of results that wait to be delivered outside.',
    ({ pending }) => pending.bytes,
  )
  perOutbox('outbox_full', 'gauge', '1 while an outbox is full: the sources of its pipeline wait.', ({ isFull }) =>
    isFull ? 1 : 0,
  )
  perOutbox(
    'outbox_delivered_total',
    'counter',
    'Results that were delivered outside, or put among the dead letters, since the sink was made.',
    ({ delivered }) => delivered.records,
  )
  perOutbox('outbox_attempts_total', 'counter', 'Attempts to deliver a batch outside.', ({ attempts }) => attempts)
  perOutbox('outbox_failures_total', 'counter', 'Of these, those that failed.', ({ failures }) => failures)
  perOutbox(
    'outbox_dead_letters_total',
    'counter',
    'Results that the other side refused for good.',
    ({ deadLetters }) => deadLetters,
  )
  perOutbox(
    'outbox_breaker_open',
    'gauge',
    '1 while nothing is sent because too many attempts failed, 0.5 while one attempt shows whether it is over.',
    ({ breaker }) => ({ closed: 0, open: 1, halfOpen: 0.5 })[breaker],
  )
  read(
    'parked_records',
    'gauge',
    'Records that wait because their step could not take them, or one of their key before them.',
    ['pipeline', 'step'],
    ({ pipelines }) =>
      [...pipelines.all()].flatMap((pipeline) =>
        [...pipeline.parkedByPlace()].map(([step, value]) => ({
          labels: { pipeline: pipeline.row.plan.name, step },
          value,
        })),
      ),
  )
  perPipeline(
    'parked_full',
    'gauge',
    '1 when so many records are parked that the sources of the pipeline wait.',
    ({ isParkedFull }) => (isParkedFull ? 1 : 0),
  )
  perPipeline(
    'pipeline_quarantined',
    'gauge',
    '1 while a pipeline is alone in a thread, since one of its records took too much memory.',
    ({ isQuarantined }) => (isQuarantined ? 1 : 0),
  )
  perPipeline('operator_seconds_total', 'counter', 'Time of worker threads.', ({ seconds }) => seconds)
  perPipeline('operator_failures_total', 'counter', 'Failed attempts of a pipeline.', ({ failures }) => failures)
  perPipeline('pipeline_failed', 'gauge', '1 when a pipeline was stopped as failed.', ({ state }) =>
    state === 'failed' ? 1 : 0,
  )
  perPipeline(
    'pipeline_watermark_seconds',
    'gauge',
    'How far the event time of the slowest task is, seconds since 1970; absent while nothing asks for it, and while all its shards are idle.',
    ({ watermark }) => (watermark === undefined ? undefined : watermark / 1000),
  )
  read(
    'pipeline_state_bytes',
    'gauge',
    'About how many bytes of the store the state and timers of a pipeline take, compressed; what was written last may not count yet.',
    ['pipeline'],
    async ({ pipelines }) =>
      [...(await pipelines.stateBytes())].map(([pipeline, value]) => ({ labels: { pipeline }, value })),
  )
  perPipeline(
    'pipeline_barrier_seconds',
    'gauge',
    'Time of the newest barrier, from its start to its commit.',
    (pipeline) => pipeline.view().barrier.secondsLast,
  )
  perPipeline('pipeline_barriers_total', 'counter', 'Barriers that were committed.', (pipeline) => {
    return pipeline.view().barrier.committed
  })
}

function samplesOfSteps(pipeline: Pipeline, look: (step: StepCount) => number | undefined): readonly Sample[] {
  const { name } = pipeline.row.plan
  return pipeline.stepCounts().flatMap((step) => {
    const value = look(step)
    return value === undefined ? [] : [{ labels: { pipeline: name, step: step.label }, value }]
  })
}
