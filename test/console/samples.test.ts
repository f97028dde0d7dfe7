import { describe, expect, test } from 'vitest'
import type { MetricsAnswer, Sample } from '../../src/console/browser/answers.js'
import { bytes, count, percent, perSecond, seconds } from '../../src/console/browser/format.js'
import { hashRange } from '../../src/console/browser/hash-range.js'
import { History } from '../../src/console/browser/samples.js'

const answer = (uptimeMs: number, ...samples: readonly Sample[]): MetricsAnswer => ({ at: 0, uptimeMs, samples })
const commits = (value: number): Sample => ({ name: 'commits_total', labels: {}, value })
const bucket = (le: string, value: number): Sample => ({ name: 'commit_seconds_bucket', labels: { le }, value })

describe('a history', () => {
  test('gives no rate of what was seen once', () => {
    const history = new History()
    history.add(answer(1000, commits(7)))
    expect(history.rate('commits_total')).toBeUndefined()
    expect(history.rates('commits_total')).toEqual([])
  })

  test('takes a rate over its window, whatever came before', () => {
    const history = new History()
    history.add(answer(0, commits(0)))
    history.add(answer(2000, commits(200_000)))
    for (let i = 1; i <= 6; i++) history.add(answer(2000 + i * 2000, commits(200_000 + i * 20)))
    expect(history.rate('commits_total')).toBe(10)
    expect(history.rates('commits_total')).toEqual([100_000, 10, 10, 10, 10, 10, 10])
  })

  test('begins again with another process, and after a long pause', () => {
    const history = new History()
    history.add(answer(60_000, commits(1000)))
    history.add(answer(500, commits(3)))
    expect(history.rate('commits_total')).toBeUndefined()
    history.add(answer(2500, commits(5)))
    expect(history.rate('commits_total')).toBe(1)
    history.add(answer(900_000, commits(9000)))
    expect(history.rate('commits_total')).toBeUndefined()
  })

  test('finds a quantile of what came within its window', () => {
    const history = new History()
    history.add(answer(0, bucket('0.01', 1000), bucket('0.1', 1000), bucket('+Inf', 1000)))
    expect(history.quantile('commit_seconds', 0.5)).toBeCloseTo(0.005)
    history.add(answer(2000, bucket('0.01', 1000), bucket('0.1', 1100), bucket('+Inf', 1100)))
    expect(history.quantile('commit_seconds', 0.5)).toBeCloseTo(0.055)
    // What lies above the last bound is at least that.
    history.add(answer(4000, bucket('0.01', 1000), bucket('0.1', 1100), bucket('+Inf', 9000)))
    expect(history.quantile('commit_seconds', 0.99)).toBe(0.1)
    expect(history.quantile('none', 0.5)).toBeUndefined()
  })
})

test('numbers are short, with their unit', () => {
  expect([count(9999), count(1_234_567)]).toEqual(['9,999', '1.23M'])
  expect([perSecond(0.5), perSecond(14_800)]).toEqual(['0.5/s', '14.8K/s'])
  expect([bytes(0), bytes(1536), bytes(5 * 2 ** 40)]).toEqual(['0 B', '1.5 KiB', '5 TiB'])
  expect([seconds(0.0000123), seconds(0.0123), seconds(90), seconds(600), seconds(90_000), seconds(9e5)]).toEqual([
    '12.3 µs',
    '12.3 ms',
    '90 s',
    '10 min',
    '25 h',
    '10 days',
  ])
  expect([percent(0.123456), percent(1.4)]).toEqual(['12.3 %', '140 %'])
})

test('ranges of hashes lie side by side', () => {
  const low = hashRange('0000000000000000', '7fffffffffffffff')
  const high = hashRange('8000000000000000', 'ffffffffffffffff')
  expect(low).toEqual({ from: 0, to: 0.5 })
  expect(high).toEqual({ from: 0.5, to: 1 })
})
