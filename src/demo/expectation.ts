import type { Flight, Flights } from './flights.js'

/** DynamoDB's JSON of an item whose attributes are all strings and numbers. */
export type Item = Readonly<Record<string, { readonly S: string } | { readonly N: string }>>

/** What happens to a flight's row, in this order. */
export type ChangeKind = 'insert' | 'modify' | 'remove'

export const flightsTable = 'flights'
export const routesTable = 'routeDelays'
/** Flights this many minutes late or more go into the file, as the US Department of Transportation counts them. */
export const lateMinutesMin = 15

/** Every tenth flight is loaded without its delay, which an UpdateItem brings later. */
export const getsDelayLater = (number: number): boolean => number % 10 === 0
/** Every fiftieth is cancelled in the end: a DeleteItem. */
export const isCancelled = (number: number): boolean => number % 50 === 0

/** All changes of a flight, in their order: what the demo does to it. */
export function changesOf(number: number): readonly ChangeKind[] {
  if (isCancelled(number)) return ['insert', 'modify', 'remove']
  return getsDelayLater(number) ? ['insert', 'modify'] : ['insert']
}

/** How many writes that are for `rows` flights; each makes exactly one change. */
export const writesOf = (rows: number): number => rows + Math.floor(rows / 10) + Math.floor(rows / 50)

export const routeOf = (flight: Flight): string => `${flight.origin}-${flight.destination}`
/** The sort key: time first, then the number, which makes it unique and leads back to the input. */
export const flightIdOf = (flight: Flight): string => `${flight.departure}#${String(flight.number).padStart(7, '0')}`
/** The number in a sort key, or NaN. */
export const numberOfFlightId = (id: string): number => Number(id.slice(id.indexOf('#') + 1))

export const keyOf = (flight: Flight): Item => ({ route: { S: routeOf(flight) }, flight: { S: flightIdOf(flight) } })

/** The row as it is while its delay is not known. */
const withoutDelay = (flight: Flight): Item => ({
  route: { S: routeOf(flight) },
  flight: { S: flightIdOf(flight) },
  origin: { S: flight.origin },
  destination: { S: flight.destination },
  distance: { N: String(flight.distance) },
})

export const withDelay = (flight: Flight): Item => ({
  route: { S: routeOf(flight) },
  flight: { S: flightIdOf(flight) },
  origin: { S: flight.origin },
  destination: { S: flight.destination },
  distance: { N: String(flight.distance) },
  delay: { N: String(flight.delay) },
})

/** The row as BatchWriteItem puts it. */
export const loadedItem = (flight: Flight): Item =>
  getsDelayLater(flight.number) ? withoutDelay(flight) : withDelay(flight)

/** The images that a change must have: a change's old image is the new image of the one before. */
export function imagesOf(
  flight: Flight,
  kind: ChangeKind,
): { readonly old: Item | undefined; readonly new: Item | undefined } {
  if (kind === 'insert') return { old: undefined, new: loadedItem(flight) }
  if (kind === 'modify') return { old: withoutDelay(flight), new: withDelay(flight) }
  return { old: withDelay(flight), new: undefined }
}

/** A line of the file: one when a flight is known to be late, one when it is cancelled. */
export interface Line {
  readonly what: 'late' | 'cancelled'
  readonly route: string
  readonly flight: string
  readonly minutes: number
}

export function linesOf(flight: Flight): readonly Line[] {
  const line = { route: routeOf(flight), flight: flightIdOf(flight), minutes: flight.delay }
  const lines: Line[] = []
  if (flight.delay >= lateMinutesMin) lines.push({ what: 'late', ...line })
  if (isCancelled(flight.number)) lines.push({ what: 'cancelled', ...line })
  return lines
}

/** A row of the result table. */
export interface RouteResult {
  readonly route: string
  /** Flights that were not cancelled. */
  readonly flights: number
  /** Their mean delay in minutes, 0 when there is none. */
  readonly meanDelay: number
}

/** The result table as it must be: every route that ever had a flight, recomputed from the input in one plain pass. */
export function resultsOf(flights: Flights): Map<string, RouteResult> {
  const sums = new Map<string, { flights: number; minutes: number }>()
  for (let number = 1; number <= flights.length; number++) {
    const flight = flights.at(number)
    const route = routeOf(flight)
    let sum = sums.get(route)
    if (sum === undefined) {
      sum = { flights: 0, minutes: 0 }
      sums.set(route, sum)
    }
    if (isCancelled(number)) continue
    sum.flights++
    sum.minutes += flight.delay
  }
  const results = new Map<string, RouteResult>()
  for (const [route, { flights: count, minutes }] of sums) {
    results.set(route, { route, flights: count, meanDelay: count === 0 ? 0 : minutes / count })
  }
  return results
}
