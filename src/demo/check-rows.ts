import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Aws } from './aws.js'
import {
  flightIdOf,
  flightsTable,
  isCancelled,
  numberOfFlightId,
  type RouteResult,
  resultsOf,
  routesTable,
  withDelay,
} from './expectation.js'
import type { Findings } from './findings.js'
import type { Flights } from './flights.js'
import { isItem, type SdkItem, show } from './items.js'

const topRoutes = 10

type StartKey = Record<string, AttributeValue>

async function scan(aws: Aws, TableName: string, onRow: (row: SdkItem) => void): Promise<void> {
  let after: StartKey | undefined
  do {
    const command = new aws.dynamodb.ScanCommand({ TableName, ExclusiveStartKey: after })
    const { Items = [], LastEvaluatedKey } = await aws.request(({ tables }) => tables.send(command))
    for (const item of Items) onRow(item)
    after = LastEvaluatedKey
  } while (after !== undefined)
}

/** Every flight that was not cancelled must be in the table, with its delay; nothing else may be. Returns the rows. */
export async function checkFlights(
  aws: Aws,
  flights: Flights,
  findings: Findings,
  onRows: (rows: number) => void,
): Promise<number> {
  const seen = new Uint8Array(flights.length + 1)
  let rows = 0
  await scan(aws, flightsTable, (row) => {
    rows++
    if (rows % 1000 === 0) onRows(rows)
    const number = numberOfFlightId(row.flight?.S ?? '')
    if (!Number.isInteger(number) || number < 1 || number > flights.length || isCancelled(number)) {
      findings.add('wrong', `a row that must not be there: ${show(row)}`)
      return
    }
    if (seen[number]) findings.add('duplicated', `the row of flight ${row.flight?.S} twice`)
    seen[number] = 1
    if (!isItem(row, withDelay(flights.at(number)))) findings.add('wrong', `a row that differs: ${show(row)}`)
  })
  for (let number = 1; number <= flights.length; number++) {
    if (seen[number] || isCancelled(number)) continue
    findings.add('wrong', `flight ${flightIdOf(flights.at(number))} has no row`)
  }
  onRows(rows)
  return rows
}

export interface CheckedResults {
  readonly results: number
  /** The routes with the most flights, as the result table has them. */
  readonly top: readonly RouteResult[]
}

/** The result table must be what a plain pass over the input gives, number for number. */
export async function checkResults(aws: Aws, flights: Flights, findings: Findings): Promise<CheckedResults> {
  const expected = resultsOf(flights)
  const actual = new Map<string, RouteResult>()
  await scan(aws, routesTable, (row) => {
    const result = { route: row.route?.S ?? '', flights: Number(row.flights?.N), meanDelay: Number(row.meanDelay?.N) }
    if (actual.has(result.route)) findings.add('duplicated', `the result of ${result.route} twice`)
    actual.set(result.route, result)
    const wanted = expected.get(result.route)
    const isSame =
      wanted !== undefined &&
      Object.keys(row).length === 3 &&
      result.flights === wanted.flights &&
      result.meanDelay === wanted.meanDelay
    if (!isSame) findings.add('wrong', `a result that differs: ${show(row)} instead of ${show(wanted)}`)
  })
  for (const [route, wanted] of expected) {
    if (!actual.has(route)) findings.add('wrong', `there is no result of ${route}; it should be ${show(wanted)}`)
  }
  const top = [...actual.values()]
    .sort((a, b) => b.flights - a.flights || (a.route < b.route ? -1 : 1))
    .slice(0, topRoutes)
  await Promise.all(top.map((result) => checkQuery(aws, result, findings)))
  return { results: actual.size, top }
}

/** A Query of a route must find as many flights as its result says, in the order of their sort keys. */
async function checkQuery(aws: Aws, result: RouteResult, findings: Findings): Promise<void> {
  let found = 0
  let last = ''
  let after: StartKey | undefined
  do {
    const command = new aws.dynamodb.QueryCommand({
      TableName: flightsTable,
      KeyConditionExpression: 'route = :route',
      ExpressionAttributeValues: { ':route': { S: result.route } },
      ExclusiveStartKey: after,
    })
    const { Items = [], LastEvaluatedKey } = await aws.request(({ tables }) => tables.send(command))
    for (const { flight } of Items) {
      const id = flight?.S ?? ''
      if (id <= last) findings.add('wrong', `a Query of ${result.route} gives ${id} after ${last}`)
      last = id
    }
    found += Items.length
    after = LastEvaluatedKey
  } while (after !== undefined)
  if (found !== result.flights) {
    findings.add('wrong', `a Query of ${result.route} finds ${found} flights, and its result says ${result.flights}`)
  }
}
