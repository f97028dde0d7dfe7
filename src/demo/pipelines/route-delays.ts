import { pipeline, table } from 'millrace'

interface Flight {
  readonly route: string
  /** Minutes; absent until it is known. */
  readonly delay?: number
}

interface Sums {
  readonly flights: number
  /** Flights whose delay is known, and its sum over them. */
  readonly timed: number
  readonly minutes: number
}

const none: Sums = { flights: 0, timed: 0, minutes: 0 }

function plus(sums: Sums, flight: Flight | undefined, sign: 1 | -1): Sums {
  if (flight === undefined) return sums
  return {
    flights: sums.flights + sign,
    timed: sums.timed + (flight.delay === undefined ? 0 : sign),
    minutes: sums.minutes + sign * (flight.delay ?? 0),
  }
}

/** Per route its flights and their mean delay: what a row was is taken out, and what it has become is put in. */
// biome-ignore lint/style/noDefaultExport: a module of a user exports its pipeline as its default.
export default pipeline('routeDelays')
  .from(table<Flight>('flights'))
  .keyByPartition()
  .aggregate(
    'sums',
    () => none,
    (sums, change) => plus(plus(sums, change.old, -1), change.new, 1),
  )
  .to(
    table('routeDelays', ({ flights, timed, minutes }, key) => ({
      route: key.route,
      flights,
      meanDelay: timed === 0 ? 0 : minutes / timed,
    })),
  )
