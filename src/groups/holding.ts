import type { Member } from './member.js'

/**
 * What becomes of a readable shard of a group with members. A lease is a number in the shard's position row: it is raised
 * in the commit that gives the shard away (`granting`), so everything that was queued under the lease before it has
 * returned when the new holder hears of it, and everything later is refused.
 */
export type Holding =
  /** The commit that raises the lease for this member is under way; whoever held it before is fenced. */
  | { readonly state: 'granting'; readonly member: Member }
  | { readonly state: 'held'; readonly member: Member; readonly lease: number }
  /** The member was asked to finish and give it back; it is fenced at `until` (monotonic time). */
  | { readonly state: 'askedBack'; readonly member: Member; readonly lease: number; readonly until: number }

export type HoldingState = Holding['state'] | 'free'
export type HoldingEvent =
  /** The assignment gives it to a member. */
  | 'grant'
  /** The commit of the grant has returned, and the member is still there. */
  | 'granted'
  /** It has returned, and the member is gone or the group was moved meanwhile. */
  | 'notGranted'
  /** The assignment wants it elsewhere. */
  | 'askBack'
  /** The member gave it back, left, or its session is over. */
  | 'release'
  /** The shard has its SHARD_END, or the group was moved: the lease is no longer the newest. */
  | 'void'

/** Every state and event; `undefined` cannot happen, and is a fault of the daemon where it does. */
export const holdingTransitions: Readonly<
  Record<HoldingState, Readonly<Record<HoldingEvent, HoldingState | undefined>>>
> = {
  free: {
    grant: 'granting',
    granted: undefined,
    notGranted: undefined,
    askBack: undefined,
    release: 'free',
    void: 'free',
  },
  granting: {
    // Only a commit that has returned says how it went: until then the next holder has to wait.
    grant: undefined,
    granted: 'held',
    notGranted: 'free',
    askBack: undefined,
    release: 'granting',
    void: 'granting',
  },
  held: {
    grant: undefined,
    granted: undefined,
    notGranted: undefined,
    askBack: 'askedBack',
    release: 'free',
    void: 'free',
  },
  askedBack: {
    // The time to give it back is over: the grant fences the member.
    grant: 'granting',
    granted: undefined,
    notGranted: undefined,
    askBack: 'askedBack',
    release: 'free',
    void: 'free',
  },
}

/** The state after an event. Throws when the table has none: then two members could hold one shard. */
export function afterEvent(state: HoldingState, event: HoldingEvent): HoldingState {
  const next = holdingTransitions[state][event]
  if (!next) throw new Error(`a shard that is ${state} cannot be followed by ${event}`)
  return next
}
