import type { Stream } from './types.js'

/** Plain streams that the daemon keeps for itself: users give no names with a colon. */
const internal = /^(outbox|dead):/

/** Whether the daemon keeps a stream for itself: results on their way out of a pipeline, and those that were refused there. */
export const isInternal = ({ name }: Pick<Stream, 'name'>): boolean => internal.test(name)

/** Whether nothing of a stream may go before its group has passed it, whatever it holds: it has a bound of its own. */
export const isOutbox = ({ name }: Pick<Stream, 'name'>): boolean => name.startsWith('outbox:')

export const outboxName = (pipeline: string, step: string): string => `outbox:${pipeline}:${step}`
export const deadLettersName = (pipeline: string, step: string): string => `dead:${pipeline}:${step}`
