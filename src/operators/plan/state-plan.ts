import { type Duration, durationMs } from './duration.js'
import { invalid } from './invalid.js'
import type { Members } from './members.js'
import type { StatePlan } from './nodes.js'

/** What any step that keeps state may be told about it. */
export interface StateOptions<State = unknown> {
  /** Raised when the shape of the state changes; 1 by default. */
  readonly version?: number
  /** Makes a state of this version from one that an older version wrote. */
  readonly migrate?: (state: unknown, fromVersion: number) => State
  /** State of a key that was not written for so long, in processing time, is forgotten. */
  readonly ttl?: Duration
}

/** What a step may be told that can do with values which were put together. */
export interface CombinedOptions<State = unknown> extends StateOptions<State> {
  /**
   * Puts the values of a key together where they are read, before they are sent: up to a barrier, so that many values cost as
   * much as one. The step then gives a result for each such part instead of each value; for `reduce` it must not matter how
   * values are grouped.
   */
  readonly combine?: boolean
}

export const stateMembers: Members<StateOptions> = { version: true, migrate: true, ttl: true }
export const combinedMembers: Members<CombinedOptions> = { ...stateMembers, combine: true }

export function statePlan(options: StateOptions | undefined, where: string): StatePlan {
  const { version = 1, migrate, ttl } = options ?? {}
  if (!Number.isSafeInteger(version) || version < 1)
    throw invalid(`${where} has ${JSON.stringify(version)} as the version of its state.`, 'Count versions from 1.')
  if (migrate !== undefined && typeof migrate !== 'function')
    throw invalid(`${where} was given a migrate that is no function.`, 'migrate: (state, fromVersion) => newState')
  const ttlMs = ttl === undefined ? undefined : durationMs(ttl, `the ttl of ${lowerFirst(where)}`)
  return { version, migrate, ttlMs }
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)
