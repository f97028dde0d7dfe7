import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changesOf, writesOf } from '../../src/demo/expectation.js'
import { WriteSchedule } from '../../src/demo/load.js'

test('every write is handed out once, and one of a flight only after the one before was acknowledged', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4000 }),
      fc.integer({ min: 1, max: 40 }),
      fc.infiniteStream(fc.nat()),
      (rows, inFlightMax, choices) => {
        const schedule = new WriteSchedule(rows)
        const inFlight: Exclude<ReturnType<WriteSchedule['next']>, 'wait' | undefined>[] = []
        const acknowledged = new Map<number, string[]>()
        const handedOut = new Map<number, number>()
        let writes = 0
        for (;;) {
          const job = inFlight.length < inFlightMax ? schedule.next() : 'wait'
          if (job === undefined) break
          if (job !== 'wait') {
            const numbers =
              job.kind === 'put'
                ? Array.from({ length: job.last - job.first + 1 }, (_, i) => job.first + i)
                : [job.number]
            const change = { put: 'insert', update: 'modify', delete: 'remove' }[job.kind]
            for (const number of numbers) {
              const before = acknowledged.get(number) ?? []
              expect(changesOf(number)[before.length]).toBe(change)
              handedOut.set(number, (handedOut.get(number) ?? 0) + 1)
              expect(handedOut.get(number)).toBe(before.length + 1)
            }
            inFlight.push(job)
            continue
          }
          const [done] = inFlight.splice(choices.next().value! % inFlight.length, 1)
          writes += schedule.acknowledged(done!)
          const numbers =
            done!.kind === 'put'
              ? Array.from({ length: done!.last - done!.first + 1 }, (_, i) => done!.first + i)
              : [done!.number]
          for (const number of numbers) acknowledged.set(number, [...(acknowledged.get(number) ?? []), done!.kind])
        }
        expect(writes).toBe(writesOf(rows))
      },
    ),
    { numRuns: 50 },
  )
})
