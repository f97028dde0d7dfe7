import type { Groups } from '../groups/index.js'
import type { Sequence, ShardedLog, StreamId } from '../log/index.js'
import type { PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Pipeline } from './pipeline.js'
import { checkNotReserved, runSuffix } from './reserved-names.js'
import type { Bounded, PipelineRow } from './rows.js'

/** A place in the sources: a sequence number, or a commit time in milliseconds since 1970. */
export type RunBound = { readonly sequence: number } | { readonly timeMs: number }

export interface RunBounds {
  /** The first that it reads; the oldest that is kept by default. */
  readonly from: RunBound
  /** The first that it reads no more; by default what is not there yet when it begins. */
  readonly until: RunBound
}

const nameMax = 128

/** The plan as that of a bounded run. Throws PIPELINE_INVALID where it cannot be one. */
export function runPlan(plan: PlanDescription): PlanDescription {
  checkNotReserved(plan.name)
  const name = `${plan.name}${runSuffix}`
  if (name.length > nameMax)
    throw new MillraceError('PIPELINE_INVALID', `The run of ${plan.name} would be called ${name}, which is too long.`, {
      remedy: `Give the pipeline a name of ${nameMax - runSuffix.length} letters at most.`,
    })
  const through = plan.nodes.findIndex(({ kind }) => kind === 'through')
  if (through >= 0)
    throw new MillraceError(
      'PIPELINE_INVALID',
      `Step ${through} of ${plan.name} (through): what a bounded run would append there lies behind its end.`,
      { remedy: 'Leave the stream in between out, or run the two halves one after the other.' },
    )
  return { ...plan, name }
}

/** Throws BAD_REQUEST where a range is asked for that a source does not have. */
export function checkRange({ name, nodes }: PlanDescription, { from, until }: Partial<RunBounds>): void {
  if (from === undefined && until === undefined) return
  const sources = nodes.flatMap((node) => (node.kind === 'source' ? [node.source] : []))
  if (sources.some((source) => source.kind === 'table' && source.snapshot))
    throw new MillraceError('BAD_REQUEST', `${name} reads a table's items as they are: there is no range of them.`, {
      remedy: 'Leave the range out, or the snapshot of the source.',
    })
  if (sources.some(({ kind }) => kind === 'kafka'))
    throw new MillraceError(
      'BAD_REQUEST',
      `${name} reads a Kafka topic: there is no range of sequence numbers in it.`,
      {
        remedy: 'Leave the range out: it reads what the topic has.',
      },
    )
  if (sources.every(({ kind }) => kind === 'files'))
    throw new MillraceError('BAD_REQUEST', `${name} reads files from their beginnings to their ends.`, {
      remedy: 'Leave the range out.',
    })
}

/** The run that is there already, when it is the one that is asked for. Throws CONFLICT. */
export function attached(present: Pipeline, module: string, { from, until }: Partial<RunBounds>): Pipeline {
  const { bounded, plan } = present.row
  const isSame = (asked: RunBound | undefined, is: number | undefined) =>
    asked === undefined || ('sequence' in asked && asked.sequence === is)
  if (present.row.module === module && isSame(from, bounded?.from) && isSame(until, bounded?.until)) return present
  throw new MillraceError('CONFLICT', `${plan.name} is there with another module or range, and ${present.state}.`, {
    remedy: `Wait for its end, or delete it: millrace pipelines delete ${plan.name}`,
  })
}

/** The range in sequence numbers. Throws BAD_REQUEST. */
export async function boundsOf(
  { from, until }: Partial<RunBounds>,
  streams: readonly StreamId[],
  log: ShardedLog,
): Promise<Bounded> {
  const next = log.nextSequence()
  const resolved = async (bound: RunBound): Promise<number> => {
    if ('sequence' in bound) return bound.sequence
    const all = await Promise.all(streams.map((stream) => log.sequenceAtTime(stream, bound.timeMs)))
    return Math.min(next, ...all)
  }
  const first = from === undefined ? 0 : await resolved(from)
  const last = until === undefined ? next : await resolved(until)
  if (last > next)
    throw new MillraceError('BAD_REQUEST', `The next sequence number is ${next}; ${last} is above it.`, {
      remedy: 'A bounded run reads what is there. Leave the end out, or give a lower one.',
    })
  if (first > last)
    throw new MillraceError('BAD_REQUEST', `The range begins at ${first} and ends before ${last}: nothing is in it.`)
  return { from: first as Sequence, until: last as Sequence }
}

interface ReadRooms {
  readonly groups: Groups
  readonly log: ShardedLog
}

/** How many sequence numbers of its range a run has passed, over all shards, and how many there are. */
export function passedOf(row: PipelineRow, { groups, log }: ReadRooms): { passed: number; all: number } {
  const { bounded } = row
  let [passed, all] = [0, 0]
  if (!bounded) return { passed, all }
  for (const { group, stream, feed } of row.sources) {
    // How much will be fed is not known before.
    if (feed !== undefined) continue
    for (const { id, firstSequence, lowWatermark } of log.shards(stream)) {
      const low = Math.max(bounded.from, firstSequence, lowWatermark)
      const high = Math.min(bounded.until, log.lastSequence(id) + 1)
      if (high <= low) continue
      all += high - low
      const position = groups.group(group)?.position(id)
      if (position) passed += position.ended ? high - low : Math.max(0, Math.min(high, position.next) - low)
    }
  }
  return { passed, all }
}
