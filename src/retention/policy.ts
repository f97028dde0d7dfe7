import type { RetentionPolicy, Stream } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'

/** What the configuration says of streams without a policy of their own. */
export interface RetentionDefaults {
  /** Plain streams; 0 keeps for ever. */
  readonly ms: number
  /** Plain streams; 0 is no bound. */
  readonly bytes: number
  /** Plain streams that were deleted. */
  readonly deletedMs: number
  /** Change logs of tables; 0 keeps for ever. */
  readonly changeLogMs: number
  /** What AWS streams show of change logs, and how long closed ones can be read. */
  readonly windowMs: number
}

/** What holds for one stream now: no member, no bound. */
export interface Bounds {
  readonly ms?: number
  readonly bytes?: number
  /** Nothing younger than this goes, whatever the others say. */
  readonly keptMs: number
}

/**
 * The bounds of a stream: its own policy, else the configuration's. A deleted stream keeps its records no longer than
 * `deletedMs`, the closed log of a table as long as an AWS stream over it can be read.
 */
export function boundsOf(stream: Stream, defaults: RetentionDefaults, hasWindow: boolean): Bounds {
  const isTable = stream.kind === 'table'
  const own = stream.retention ?? (isTable ? bounds(defaults.changeLogMs, 0) : bounds(defaults.ms, defaults.bytes))
  const policy = own === 'forever' ? {} : own
  const keptMs = isTable && hasWindow ? defaults.windowMs : 0
  if (stream.closedAt === undefined) return { ...policy, keptMs }
  const closedMs = isTable ? defaults.windowMs : defaults.deletedMs
  return { ...policy, ms: Math.min(policy.ms ?? closedMs, closedMs), keptMs }
}

const bounds = (ms: number, bytes: number): RetentionPolicy =>
  ms === 0 && bytes === 0 ? 'forever' : { ...(ms > 0 ? { ms } : {}), ...(bytes > 0 ? { bytes } : {}) }

const shape = '"forever", {ms?, bytes?} with positive whole numbers, or null for what the configuration says'

/** A policy as a request says it; undefined for that of the configuration. Throws BAD_REQUEST. */
export function parsePolicy(value: unknown): RetentionPolicy | undefined {
  if (value === null) return undefined
  if (value === 'forever') return value
  if (typeof value === 'object' && !Array.isArray(value)) {
    const entries = Object.entries(value as object)
    const isGood = ([name, bound]: [string, unknown]) =>
      (name === 'ms' || name === 'bytes') && Number.isSafeInteger(bound) && (bound as number) > 0
    if (entries.length > 0 && entries.every(isGood)) return value as RetentionPolicy
  }
  throw new MillraceError('BAD_REQUEST', `retention is ${shape}, not ${JSON.stringify(value)}.`)
}
