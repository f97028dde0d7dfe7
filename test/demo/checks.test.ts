import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { _Record as StreamRecord } from '@aws-sdk/client-dynamodb-streams'
import { beforeAll, describe, expect, test } from 'vitest'
import { ChangeCheck } from '../../src/demo/check-changes.js'
import { checkFile } from '../../src/demo/check-file.js'
import { changesOf, imagesOf, keyOf, linesOf } from '../../src/demo/expectation.js'
import { Findings } from '../../src/demo/findings.js'
import { type Flights, readFlights } from '../../src/demo/flights.js'
import { temporaryFolder } from '../temporary-folder.js'

const rows = 500
let flights: Flights
beforeAll(async () => {
  flights = await readFlights(rows)
})

const eventNames = { insert: 'INSERT', modify: 'MODIFY', remove: 'REMOVE' } as const

function allRecords(): StreamRecord[] {
  const records: StreamRecord[] = []
  for (let number = 1; number <= rows; number++) {
    const flight = flights.at(number)
    for (const kind of changesOf(number)) {
      const images = imagesOf(flight, kind)
      records.push({
        eventName: eventNames[kind],
        dynamodb: { Keys: keyOf(flight), OldImage: images.old, NewImage: images.new } as StreamRecord['dynamodb'],
      })
    }
  }
  return records
}

function findingsOf(records: readonly StreamRecord[]) {
  const findings = new Findings()
  const check = new ChangeCheck(flights, findings)
  for (const record of records) check.take(record)
  check.finish()
  return findings.counts
}

describe('the check of the changes', () => {
  test('finds nothing where nothing is wrong', () => {
    expect(findingsOf(allRecords())).toEqual({ lost: 0, duplicated: 0, wrong: 0 })
  })

  test('counts a change that is missing as lost', () => {
    const records = allRecords()
    records.splice(123, 1)
    expect(findingsOf(records)).toEqual({ lost: 1, duplicated: 0, wrong: 0 })
  })

  test('counts a second record of one write as duplicated, also when another is lost', () => {
    const records = allRecords()
    records[123] = records[122]!
    expect(findingsOf(records)).toEqual({ lost: 1, duplicated: 1, wrong: 0 })
  })

  test('counts another old image, another new image and a missing one as wrong', () => {
    const records = allRecords()
    const modify = records.findIndex(({ eventName }) => eventName === 'MODIFY')
    const remove = records.findIndex(({ eventName }) => eventName === 'REMOVE')
    const { dynamodb } = records[modify]!
    records[modify] = { eventName: 'MODIFY', dynamodb: { ...dynamodb, OldImage: dynamodb!.NewImage } }
    records[remove] = { eventName: 'REMOVE', dynamodb: { ...records[remove]!.dynamodb, OldImage: undefined } }
    const { dynamodb: first } = records[0]!
    records[0] = { eventName: 'INSERT', dynamodb: { ...first, NewImage: { ...first!.NewImage, distance: { N: '1' } } } }
    expect(findingsOf(records)).toEqual({ lost: 0, duplicated: 0, wrong: 3 })
  })

  test('counts changes of a flight in another order, and what nobody did, as wrong', () => {
    const records = allRecords()
    const modify = records.findIndex(({ eventName }) => eventName === 'MODIFY')
    ;[records[modify], records[modify - 1]] = [records[modify - 1]!, records[modify]!]
    records.push({ eventName: 'REMOVE', dynamodb: { Keys: keyOf(flights.at(1)) as Record<string, never> } })
    records.push({ eventName: 'INSERT', dynamodb: { Keys: { flight: { S: 'nonsense' } } } })
    const counts = findingsOf(records)
    expect(counts.lost).toBe(0)
    expect(counts.duplicated).toBe(0)
    expect(counts.wrong).toBe(4)
  })
})

describe('the check of the file', () => {
  const allLines = () => Array.from({ length: rows }, (_, index) => linesOf(flights.at(index + 1))).flat()

  async function check(lines: readonly unknown[]) {
    const path = join(temporaryFolder(), 'lines.ndjson')
    writeFileSync(path, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
    const findings = new Findings()
    const count = await checkFile(path, flights, findings)
    expect(count).toBe(lines.length)
    return findings.counts
  }

  test('finds nothing where nothing is wrong', async () => {
    expect(await check(allLines())).toEqual({ lost: 0, duplicated: 0, wrong: 0 })
  })

  test('sees a missing line, one twice, one that differs, one that is not JSON', async () => {
    const lines = allLines()
    expect(await check(lines.slice(1))).toEqual({ lost: 0, duplicated: 0, wrong: 1 })
    expect(await check([...lines, lines[3]])).toEqual({ lost: 0, duplicated: 1, wrong: 0 })
    expect(await check([{ ...lines[0]!, minutes: 7777 }, ...lines.slice(1)])).toEqual({
      lost: 0,
      duplicated: 0,
      wrong: 1,
    })
    expect(await check([...lines, '{"what":"la'])).toEqual({ lost: 0, duplicated: 0, wrong: 1 })
  })

  test('sees lines of one flight in another order', async () => {
    const lines = allLines()
    const place = lines.findIndex((line, index) => line.what === 'late' && lines[index + 1]?.flight === line.flight)
    expect(place).toBeGreaterThanOrEqual(0)
    ;[lines[place], lines[place + 1]] = [lines[place + 1]!, lines[place]!]
    const { wrong } = await check(lines)
    expect(wrong).toBe(2)
  })
})
