import type { Stream } from './types.js'

/** Plain streams that the daemon keeps for itself: users give no names with a colon. */
const internal = /^(outbox|dead|feed|snapshot):/

/**
 * Whether the daemon keeps a stream for itself: results on their way out of a pipeline, those that were refused there, and what
 * is on its way into one or, of a table's snapshot, into a bridge.
 */
export const isInternal = ({ name }: Pick<Stream, 'name'>): boolean => internal.test(name)

/** Whether a stream holds results on their way out of a pipeline. */
export const isOutbox = ({ name }: Pick<Stream, 'name'>): boolean => name.startsWith('outbox:')

/** Whether a stream brings the items of a table, or the lines of files, into a pipeline. */
export const isFeed = ({ name }: Pick<Stream, 'name'>): boolean => name.startsWith('feed:')

/** Whether a stream brings the items of a table into a bridge. */
export const isSnapshot = ({ name }: Pick<Stream, 'name'>): boolean => name.startsWith('snapshot:')

export const snapshotName = (bridge: string): string => `snapshot:${bridge}`
export const outboxName = (pipeline: string, step: string): string => `outbox:${pipeline}:${step}`
export const deadLettersName = (pipeline: string, step: string): string => `dead:${pipeline}:${step}`
export const feedName = (pipeline: string, label: string): string => `feed:${pipeline}:${label}`
