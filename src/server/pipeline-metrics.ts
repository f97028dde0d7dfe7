import type { Rooms } from '../daemon/index.js'
import type { Sample } from '../runtime/index.js'
import type { ReadRooms } from './daemon-metrics.js'

type Pipeline = ReturnType<Rooms['pipelines']['all']> extends Iterable<infer Each> ? Each : never

/** What the pipelines can tell. Rows that a failed attempt had seen are counted again when they are read again. */
export function pipelineMetrics(read: ReadRooms): void {
  const perPipeline = (
    name: string,
    kind: 'gauge' | 'counter',
    help: string,
    look: (pipeline: Pipeline) => number,
  ): void =>
    read(name, kind, help, ['pipeline'], ({ pipelines }) =>
      [...pipelines.all()].map((pipeline) => ({
        labels: { pipeline: pipeline.row.plan.name },
        value: look(pipeline),
      })),
    )
  const perStep = (name: string, help: string, look: (pipeline: Pipeline, step: number) => number | undefined): void =>
    read(name, 'counter', help, ['pipeline', 'step'], ({ pipelines }) =>
      [...pipelines.all()].flatMap((pipeline) => samplesOfSteps(pipeline, look)),
    )

  perStep('operator_records_in_total', 'Records that went into a step.', ({ rowsIn }, step) => rowsIn[step])
  perStep('operator_records_out_total', 'Records that a step gave to the next.', ({ rowsIn }, step) => rowsIn[step + 1])
  perStep('operator_records_failed_total', 'Records at which a step threw or never ended.', (pipeline, step) => {
    return pipeline.failuresOf[step]
  })
  perStep('sink_records_total', 'Records that went into a sink.', ({ rowsIn, row }, step) =>
    row.plan.steps[step]?.kind === 'sink' ? rowsIn[step] : undefined,
  )
  perPipeline('operator_seconds_total', 'counter', 'Time of worker threads.', ({ seconds }) => seconds)
  perPipeline('operator_failures_total', 'counter', 'Failed attempts of a pipeline.', ({ failures }) => failures)
  perPipeline('pipeline_failed', 'gauge', '1 when a pipeline was stopped as failed.', ({ state }) =>
    state === 'failed' ? 1 : 0,
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

function samplesOfSteps(
  pipeline: Pipeline,
  look: (pipeline: Pipeline, step: number) => number | undefined,
): readonly Sample[] {
  const { name, steps } = pipeline.row.plan
  return steps.flatMap((step, i) => {
    const value = look(pipeline, i)
    // A step without a name of its own goes by its place, so that no two of a pipeline are one series.
    const label = 'name' in step && step.name !== undefined ? step.name : `${i}-${step.kind}`
    return value === undefined ? [] : [{ labels: { pipeline: name, step: label }, value }]
  })
}
