import { expect, it } from 'vitest'
import { countEvents } from '../../src/pipelines/step-counts.js'

it('events of more names than the metrics take are counted together', () => {
  const counts = new Map<number, Map<string, number>>()
  countEvents(counts, [{ node: 3, event: 'late', by: 2 }])
  const many = Array.from({ length: 1000 }, (_, i) => ({ node: 3, event: `user ${i}`, by: 1 }))
  countEvents(counts, [...many, { node: 3, event: 'late', by: 5 }, { node: 4, event: 'late', by: 1 }])
  const events = counts.get(3) as Map<string, number>
  expect(events.size).toBe(65)
  expect(events.get('late')).toBe(7)
  expect(events.get('other')).toBe(1000 - 63)
  expect(counts.get(4)).toEqual(new Map([['late', 1]]))
})
