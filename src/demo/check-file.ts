import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Line, linesOf, numberOfFlightId } from './expectation.js'
import type { Findings } from './findings.js'
import type { Flights } from './flights.js'
import { show } from './items.js'

const bitOf: Readonly<Record<Line['what'], number>> = { late: 1, cancelled: 2 }

/** The file must hold exactly the expected lines, each once, those of one flight in their order. Returns their number. */
export async function checkFile(path: string, flights: Flights, findings: Findings): Promise<number> {
  const seen = new Uint8Array(flights.length + 1)
  let lines = 0
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    lines++
    const line = parse(text)
    const number = line === undefined ? Number.NaN : numberOfFlightId(line.flight)
    const isKnown = Number.isInteger(number) && number >= 1 && number <= flights.length
    const expected = isKnown ? linesOf(flights.at(number)) : []
    const place = expected.findIndex(({ what }) => what === line?.what)
    if (line === undefined || place < 0) {
      findings.add('wrong', `a line that must not be there: ${text}`)
      continue
    }
    const bits = seen[number]!
    if (bits & bitOf[line.what]) {
      findings.add('duplicated', `the line ${text} twice`)
      continue
    }
    seen[number] = bits | bitOf[line.what]
    const before = expected.slice(0, place).reduce((sum, { what }) => sum | bitOf[what], 0)
    if (bits !== before) findings.add('wrong', `the line ${text} out of order`)
    if (!isSame(line, expected[place]!)) findings.add('wrong', `a line that differs: ${text}`)
  }
  for (let number = 1; number <= flights.length; number++) {
    for (const line of linesOf(flights.at(number))) {
      if (!(seen[number]! & bitOf[line.what])) findings.add('wrong', `the file lacks the line ${show(line)}`)
    }
  }
  return lines
}

function parse(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line
    return typeof line === 'object' && line !== null && typeof line.flight === 'string' ? line : undefined
  } catch {
    return undefined
  }
}

function isSame(line: Line, expected: Line): boolean {
  const names = Object.keys(expected) as (keyof Line)[]
  return Object.keys(line).length === names.length && names.every((name) => line[name] === expected[name])
}
