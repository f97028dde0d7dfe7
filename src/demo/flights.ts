import { fileURLToPath } from 'node:url'
import { MillraceError } from '../runtime/index.js'
import { needsDemoPackages } from './demo-error.js'

/** One flight of the input. */
export interface Flight {
  /** Its place in the input, from 1 on. */
  readonly number: number
  /** Airports, as IATA writes them. */
  readonly origin: string
  readonly destination: string
  /** Departure, UTC, to the minute: `2001-01-01T00:01`. */
  readonly departure: string
  /** Minutes behind the schedule at arrival; negative when early. */
  readonly delay: number
  /** Miles. */
  readonly distance: number
}

const minuteMs = 60_000

/**
 * Flights as columns of numbers: 14 bytes a flight, so that three million of them and everything that is recomputed from
 * them fit into a small process.
 */
export class Flights {
  readonly length: number
  readonly #airports: readonly string[]
  readonly #columns: Columns
  /** Many flights in a row depart in the same minute. */
  #minute = Number.NaN
  #departure = ''

  constructor(columns: Columns, airports: readonly string[]) {
    this.length = columns.delay.length
    this.#columns = columns
    this.#airports = airports
  }

  /** The flight of a number, 1 to `length`. */
  at(number: number): Flight {
    const row = number - 1
    const { origin, destination, minute, delay, distance } = this.#columns
    if (minute[row] !== this.#minute) {
      this.#minute = minute[row]!
      this.#departure = new Date(this.#minute * minuteMs).toISOString().slice(0, 16)
    }
    return {
      number,
      origin: this.#airports[origin[row]!]!,
      destination: this.#airports[destination[row]!]!,
      departure: this.#departure,
      delay: delay[row]!,
      distance: distance[row]!,
    }
  }
}

interface Columns {
  /** Index of the airport. */
  readonly origin: Uint16Array
  readonly destination: Uint16Array
  /** Minutes since 1970. */
  readonly minute: Int32Array
  readonly delay: Int16Array
  readonly distance: Uint16Array
}

/**
 * The first `rows` of the three million US flights of 2001 in `vega-datasets`, in order of departure, read one row group
 * after the other.
 */
export async function readFlights(rows: number): Promise<Flights> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetRead } = await needsDemoPackages(() => import('hyparquet'))
  const { compressors } = await needsDemoPackages(() => import('hyparquet-compressors'))
  const file = await asyncBufferFromFile(await needsDemoPackages(inputPath))
  const metadata = await parquetMetadataAsync(file)
  const available = Number(metadata.num_rows)
  if (rows > available) throw new MillraceError('USAGE', `There are ${available} flights, and --rows asks for ${rows}.`)

  const columns: Columns = {
    origin: new Uint16Array(rows),
    destination: new Uint16Array(rows),
    minute: new Int32Array(rows),
    delay: new Int16Array(rows),
    distance: new Uint16Array(rows),
  }
  const airports = new Map<string, number>()
  const airport = (name: string): number => {
    const known = airports.get(name)
    if (known !== undefined) return known
    airports.set(name, airports.size)
    return airports.size - 1
  }
  const store: Readonly<Record<string, (row: number, value: unknown) => void>> = {
    date: (row, value) => {
      columns.minute[row] = (value as Date).getTime() / minuteMs
    },
    delay: (row, value) => {
      columns.delay[row] = Number(value)
    },
    distance: (row, value) => {
      columns.distance[row] = Number(value)
    },
    origin: (row, value) => {
      columns.origin[row] = airport(value as string)
    },
    destination: (row, value) => {
      columns.destination[row] = airport(value as string)
    },
  }

  let start = 0
  for (const group of metadata.row_groups) {
    if (start >= rows) break
    const end = start + Number(group.num_rows)
    await parquetRead({
      file,
      metadata,
      compressors,
      rowStart: start,
      rowEnd: Math.min(end, rows),
      onChunk: ({ columnName, columnData, rowStart }) => {
        const put = store[columnName]!
        const count = Math.min(columnData.length, rows - rowStart)
        for (let index = 0; index < count; index++) put(rowStart + index, columnData[index])
      },
    })
    start = end
  }
  return new Flights(columns, [...airports.keys()])
}

async function inputPath(): Promise<string> {
  // The package exports no data files, only its entry: they lie beside it.
  return fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')))
}
