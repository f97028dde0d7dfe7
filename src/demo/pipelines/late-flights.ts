import { file, pipeline, table } from 'millrace'

interface Flight {
  readonly route: string
  readonly flight: string
  /** Minutes; absent until it is known. */
  readonly delay?: number
}

const lateMinutesMin = 15

/** A line for each flight as soon as it is known to be late, and for each that is cancelled. */
// biome-ignore lint/style/noDefaultExport: a module of a user exports its pipeline as its default.
export default pipeline('lateFlights')
  .from(table<Flight>('flights'))
  .filter((change) => change.type === 'remove' || (change.new.delay ?? 0) >= lateMinutesMin)
  .map((change) => {
    const { route, flight, delay } = change.type === 'remove' ? change.old : change.new
    return { what: change.type === 'remove' ? 'cancelled' : 'late', route, flight, minutes: delay }
  })
  .to(file('late-flights.ndjson'))
