import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backOffMs } from '../../src/sinks/delivery/back-off.js'
import { Breaker } from '../../src/sinks/delivery/breaker.js'
import { retryAfterMs } from '../../src/sinks/delivery/http-deliverer.js'

describe('the breaker', () => {
  const opened = () => {
    const breaker = new Breaker({ failuresMax: 2, pauseMs: 100 })
    for (let i = 0; i < 2; i++) {
      expect(breaker.admit(0)).toBe(0)
      breaker.failed(0)
    }
    return breaker
  }

  it('opens after so many failures in a row, and only then', () => {
    const breaker = new Breaker({ failuresMax: 2, pauseMs: 100 })
    breaker.failed(0)
    breaker.succeeded()
    breaker.failed(0)
    expect([breaker.state, breaker.admit(0)]).toEqual(['closed', 0])
    breaker.failed(0)
    expect([breaker.state, breaker.admit(30)]).toEqual(['open', 70])
  })

  it('lets one attempt through after the pause, whose end decides for all', () => {
    const breaker = opened()
    expect(breaker.admit(100)).toBe(0)
    expect(breaker.state).toBe('halfOpen')
    expect(breaker.admit(100)).toBeGreaterThan(0)
    breaker.failed(110)
    expect([breaker.state, breaker.admit(110)]).toEqual(['open', 100])
    expect(breaker.admit(210)).toBe(0)
    breaker.succeeded()
    expect([breaker.state, breaker.admit(210), breaker.admit(210)]).toEqual(['closed', 0, 0])
  })

  it('stays open as long as the other side asks, and lets another try when an attempt was given up', () => {
    const breaker = new Breaker({ failuresMax: 1, pauseMs: 100 })
    breaker.failed(0, 5000)
    expect(breaker.admit(1000)).toBe(4000)
    expect(breaker.admit(5000)).toBe(0)
    breaker.abandoned()
    expect(breaker.admit(5000)).toBe(0)
  })
})

describe('waits between attempts', () => {
  it('lie between half of what doubles and the whole, and never above the longest', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, first, longest, chance) => {
          const whole = Math.min(longest, first * 2 ** (attempt - 1))
          const wait = backOffMs(attempt, first, longest, () => chance)
          expect(wait).toBeGreaterThanOrEqual(whole / 2)
          expect(wait).toBeLessThanOrEqual(whole)
        },
      ),
    )
  })

  it.each([
    [null, undefined],
    ['7', 7000],
    ['0', 0],
    ['99999999', 3_600_000],
    ['Thu, 01 Jan 1970 00:00:30 GMT', 20_000],
    ['Thu, 01 Jan 1970 00:00:01 GMT', 0],
    ['soon', undefined],
  ])('Retry-After %s is %s ms', (value, ms) => {
    expect(retryAfterMs(value, 10_000)).toBe(ms)
  })
})
