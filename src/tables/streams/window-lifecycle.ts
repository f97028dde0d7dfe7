/**
 * An AWS stream, the window over a table's change log. `enabled`: it grows. `disabled`: it has its last sequence number, and
 * can be read for `aws.streamRetentionMs` more. `expired`: nobody is told of it any more, and its row goes.
 */
export type WindowState = 'enabled' | 'disabled' | 'expired'

export type WindowEvent =
  /** UpdateTable switches it off. */
  | 'disable'
  /** DeleteTable. */
  | 'deleteTable'
  /** It is described, listed, or read. */
  | 'read'
  /** `aws.streamRetentionMs` are over since it was closed. */
  | 'expire'

/**
 * Every event in every state; `undefined` is refused. A window never opens again: what UpdateTable switches on is another
 * one, with a label of its own.
 */
export const windowLifecycle: {
  readonly [From in WindowState]: { readonly [On in WindowEvent]: WindowState | undefined }
} = {
  enabled: {
    disable: 'disabled',
    deleteTable: 'disabled',
    read: 'enabled',
    // Its records go for their age; it does not.
    expire: undefined,
  },
  disabled: {
    // The table has no stream to disable.
    disable: undefined,
    // The table's deletion makes it no older than it is.
    deleteTable: 'disabled',
    read: 'disabled',
    expire: 'expired',
  },
  expired: {
    disable: undefined,
    deleteTable: 'expired',
    // As if there had never been one: ResourceNotFoundException.
    read: undefined,
    expire: 'expired',
  },
}

/** What says how a window stands. */
export interface WindowTimes {
  /** Commit time of its closing. */
  readonly disabledAt?: number
}

/** How a window stands when those that were closed up to `closedUntil` (commit time) are over. */
export function windowState({ disabledAt }: WindowTimes, closedUntil: number): WindowState {
  if (disabledAt === undefined) return 'enabled'
  return disabledAt <= closedUntil ? 'expired' : 'disabled'
}

/** Whether a window takes an event. */
export const windowTakes = (state: WindowState, event: WindowEvent): boolean =>
  windowLifecycle[state][event] !== undefined

/** As DescribeStream says it; one that expires while it is being described was closed. */
export const streamStatus: { readonly [State in WindowState]: 'ENABLED' | 'DISABLED' } = {
  enabled: 'ENABLED',
  disabled: 'DISABLED',
  expired: 'DISABLED',
}
