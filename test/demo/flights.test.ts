import { fileURLToPath } from 'node:url'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { expect, test } from 'vitest'
import { flightIdOf, numberOfFlightId, resultsOf, routeOf, withDelay } from '../../src/demo/expectation.js'
import { readFlights } from '../../src/demo/flights.js'

const path = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')))

test('the columns say what the file says, across the end of a row group', async () => {
  const from = 272_700
  const flights = await readFlights(272_760)
  expect(flights.length).toBe(272_760)
  const file = await asyncBufferFromFile(path)
  const rows = await parquetReadObjects({ file, compressors, rowStart: from, rowEnd: flights.length })
  for (const [index, row] of rows.entries()) {
    const { number, ...flight } = flights.at(from + index + 1)
    expect(number).toBe(from + index + 1)
    expect(flight).toEqual({
      origin: row.origin,
      destination: row.destination,
      departure: (row.date as Date).toISOString().slice(0, 16),
      delay: Number(row.delay),
      distance: Number(row.distance),
    })
  }
})

test('flights come in order of time, and their sort keys are unique and lead back to them', async () => {
  const flights = await readFlights(20_000)
  let last = ''
  for (let number = 1; number <= flights.length; number++) {
    const id = flightIdOf(flights.at(number))
    expect(id > last).toBe(true)
    expect(numberOfFlightId(id)).toBe(number)
    last = id
  }
})

test('the recomputation agrees with one by hand', async () => {
  const flights = await readFlights(5000)
  const busiest = [...resultsOf(flights).values()].sort((a, b) => b.flights - a.flights)[0]!
  const delays: number[] = []
  for (let number = 1; number <= flights.length; number++) {
    const flight = flights.at(number)
    if (routeOf(flight) === busiest.route && number % 50 !== 0)
      delays.push(Number((withDelay(flight).delay as { N: string }).N))
  }
  expect(busiest.flights).toBe(delays.length)
  expect(busiest.meanDelay).toBe(delays.reduce((sum, delay) => sum + delay, 0) / delays.length)
})

test('more rows than there are is refused', async () => {
  await expect(readFlights(3_000_001)).rejects.toMatchObject({ code: 'USAGE' })
})
