import type { ExportShard, Log, Sequence } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'

/** Where an export goes on that broke off: in this shard, from this number on; shards with lower ids are done. */
export interface ExportResume {
  readonly shard: number
  readonly sequence: number
}

/** `SHARD:SEQUENCE`, as a broken export names it. Throws BAD_REQUEST. */
export function parseResume(text: string): ExportResume {
  const [, shard, sequence] = /^(\d+):(\d+)$/.exec(text) ?? []
  if (shard === undefined || !Number.isSafeInteger(Number(sequence)))
    throw new MillraceError('BAD_REQUEST', `resume is SHARD:SEQUENCE, not ${text}.`)
  return { shard: Number(shard), sequence: Number(sequence) }
}

/**
 * What ended an export in its middle, with how far it had come and where it goes on. What is trimmed by then is not there
 * to go on with. It ends where it was to end: shards that are done were sent up to there, and with a later end the others
 * would go beyond them.
 *
 * @param next all records of the shard below it were sent
 * @param until the end of the whole export
 */
export function brokenExport(
  error: MillraceError,
  log: Log,
  shard: ExportShard,
  next: Sequence,
  until: Sequence,
): MillraceError {
  const kept = log.shard(shard.id)?.lowWatermark ?? shard.until
  const resume = `${shard.id}:${Math.max(next, kept)}`
  const lost =
    kept > next ? ` Records of it from ${next} to ${Math.min(kept, shard.until) - 1} are no longer kept.` : ''
  return new MillraceError(
    error.code,
    `The export broke off in shard ${shard.id}, before sequence number ${next}: ${error.message}${lost}`,
    {
      cause: error,
      outcome: error.outcome,
      remedy: `What came before is good. Go on with --resume ${resume} --until ${until} and the same beginning, or export again from the oldest.`,
      details: { ...error.details, shard: shard.id, next, resume, until },
    },
  )
}
