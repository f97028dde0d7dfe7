import type { ShardedLog } from '../log/index.js'
import type { PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import { storedOutbox } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import { createOutboxes, outsideSinks } from './outboxes.js'
import type { OutboxRow, PipelineRow } from './rows.js'

/** What a redeploy makes of the outboxes of a pipeline. */
export interface RedeployedOutboxes {
  /** All of the newer version, by the names of their sinks: one that the older has, too, goes on with what lies in it. */
  readonly all: Readonly<Record<string, OutboxRow>>
  /** Of these, those that were made for it. */
  readonly added: Readonly<Record<string, OutboxRow>>
  /** Of sinks that are gone. */
  readonly dropped: readonly OutboxRow[]
}

/** Throws PIPELINE_INVALID where a sink is another kind of sink now: what lies in its outbox was made for the older one. */
export function checkOutboxKinds(older: PlanDescription, newer: PlanDescription): void {
  const kinds = new Map(outsideSinks(older).map(({ name, sink }) => [name, sink.kind]))
  for (const { node, name, sink } of outsideSinks(newer)) {
    const before = kinds.get(name)
    if (before === undefined || before === sink.kind) continue
    throw new MillraceError(
      'PIPELINE_INVALID',
      `Step ${node} of ${newer.name}: the sink ${name} was of the kind ${before} and is of the kind ${sink.kind} now.`,
      { remedy: 'Give the newer sink a name of its own.' },
    )
  }
}

/**
 * Makes the outboxes that are new. The pipeline stands still. Throws CONFLICT while something lies in the outbox of a sink
 * that is gone, since nobody would deliver it.
 */
export async function redeployOutboxes(
  older: PipelineRow,
  plan: PlanDescription,
  { log, storage }: { readonly log: ShardedLog; readonly storage: Storage },
): Promise<RedeployedOutboxes> {
  const names = new Set(outsideSinks(plan).map(({ name }) => name))
  const before = Object.entries(older.outboxes ?? {})
  const gone = before.filter(([name]) => !names.has(name))
  for (const [name, { number }] of gone) {
    const waiting = await pendingOf(storage, older.id, number)
    if (waiting > 0)
      throw new MillraceError(
        'CONFLICT',
        `The newer ${plan.name} has no sink ${name}, in whose outbox ${waiting} records wait for their delivery.`,
        { remedy: `Pause the pipeline, deploy when its outbox is empty (millrace pipelines show ${plan.name}).` },
      )
  }
  const rows = [...before.map(([, row]) => row), ...(older.dropped?.outboxes ?? [])]
  const added = await createOutboxes(log, plan, { names: new Set(before.map(([name]) => name)), rows })
  const kept = Object.fromEntries(before.filter(([name]) => names.has(name)))
  return { all: { ...kept, ...added }, added, dropped: gone.map(([, row]) => row) }
}

/** How many of the results of the outboxes of a pipeline wait to be delivered. */
export async function undelivered(storage: Storage, { id, outboxes = {} }: PipelineRow): Promise<number> {
  const waiting = await Promise.all(Object.values(outboxes).map(({ number }) => pendingOf(storage, id, number)))
  return waiting.reduce((sum, each) => sum + each, 0)
}

async function pendingOf(storage: Storage, pipeline: number, number: number): Promise<number> {
  const { appended, delivered } = await storedOutbox(storage, pipeline, number)
  return [...delivered.values()].reduce((left, { records }) => left - records, appended.records)
}
