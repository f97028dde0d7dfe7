/** The furthest that a JavaScript date is from 1970, ms: some 275,000 years. */
const eventTimeMost = 8.64e15

/**
 * Whether something is an event time, milliseconds since 1970. What is further away than any date is mistaken (nanoseconds, for
 * one), and would take the watermark along: everything behind it were late.
 */
export const isEventTime = (given: unknown): given is number =>
  typeof given === 'number' && Math.abs(given) <= eventTimeMost
