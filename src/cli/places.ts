import { InvalidArgumentError } from 'commander'

/** Where in a stream somebody begins. */
export type Place = 'oldest' | 'newest' | { readonly sequence: number } | { readonly timeMs: number }

export const places = 'oldest, newest, a sequence number, or a time like 2026-01-31T12:00:00Z'

/** Throws what commander says to the user. */
export function placeOf(text: string): Place {
  if (text === 'oldest' || text === 'newest') return text
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { sequence: Number(text) }
  const timeMs = dateMs(text)
  if (timeMs === undefined) throw new InvalidArgumentError(`It is not ${places}.`)
  return { timeMs }
}

/** Milliseconds since 1970 of a date; undefined for what begins with no year: `Date.parse` takes 1.5 and -5 for days. */
export function dateMs(text: string): number | undefined {
  const timeMs = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(timeMs) ? undefined : timeMs
}

/** Where that is, for people. */
export function placeText(place: Place): string {
  if (typeof place === 'string') return `the ${place} record`
  return 'timeMs' in place ? new Date(place.timeMs).toISOString() : String(place.sequence)
}
