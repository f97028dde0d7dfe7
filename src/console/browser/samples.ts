import type { MetricsAnswer, Sample } from './answers.js'

/** Rates are taken over about this long: shorter jumps, longer lags. */
const windowMs = 10_000
/** What a sparkline shows. */
const keptMs = 120_000

const matches = (sample: Sample, name: string, labels: Readonly<Record<string, string>>): boolean =>
  sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)

/** The sum of the samples of a metric that have these labels; undefined when there is none. */
export function sumOf(
  answer: MetricsAnswer | undefined,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = answer?.samples.filter((sample) => matches(sample, name, labels)) ?? []
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}

/** The metrics as they were asked for again and again: rates, and quantiles of what came meanwhile. */
export class History {
  #answers: MetricsAnswer[] = []

  add(answer: MetricsAnswer): void {
    const newest = this.#answers.at(-1)
    // Another process has begun to count again, or nobody looked for so long that a rate would say nothing of now.
    if (newest && (answer.uptimeMs <= newest.uptimeMs || answer.uptimeMs - newest.uptimeMs > keptMs)) this.#answers = []
    this.#answers.push(answer)
    while (answer.uptimeMs - (this.#answers[0] as MetricsAnswer).uptimeMs > keptMs) this.#answers.shift()
  }

  get newest(): MetricsAnswer | undefined {
    return this.#answers.at(-1)
  }

  /** The newest answer that is a window older than the newest of all, or else the oldest. */
  get #before(): MetricsAnswer | undefined {
    const { newest } = this
    const old = this.#answers.filter((answer) => newest !== undefined && newest.uptimeMs - answer.uptimeMs >= windowMs)
    return old.at(-1) ?? this.#answers[0]
  }

  /** Of a counter, per second; undefined until it was asked for twice. */
  rate(name: string): number | undefined {
    return rateBetween(this.#before, this.newest, name)
  }

  /** Of a counter, between each two answers. */
  rates(name: string): readonly number[] {
    return this.#answers.slice(1).map((answer, i) => rateBetween(this.#answers[i], answer, name) ?? 0)
  }

  /** Of a histogram's observations within the window, by its buckets; undefined when there were none. */
  quantile(name: string, share: number): number | undefined {
    return quantileBetween(this.#before, this.newest, name, share)
  }
}

function rateBetween(from: MetricsAnswer | undefined, to: MetricsAnswer | undefined, name: string): number | undefined {
  if (!from || !to || to.uptimeMs <= from.uptimeMs) return undefined
  const value = sumOf(to, name)
  if (value === undefined) return undefined
  return Math.max(0, value - (sumOf(from, name) ?? 0)) / ((to.uptimeMs - from.uptimeMs) / 1000)
}

function quantileBetween(
  from: MetricsAnswer | undefined,
  to: MetricsAnswer | undefined,
  name: string,
  share: number,
): number | undefined {
  const buckets = (to?.samples ?? [])
    .filter((sample) => sample.name === `${name}_bucket`)
    .map(({ name: bucket, labels, value }) => ({
      bound: labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le),
      value: value - (from === to ? 0 : (sumOf(from, bucket, labels) ?? 0)),
    }))
    .sort((a, b) => a.bound - b.bound)
  const total = buckets.at(-1)?.value ?? 0
  if (total <= 0) return undefined
  const wanted = share * total
  const i = buckets.findIndex(({ value }) => value >= wanted)
  const above = buckets[i]
  const below = i === 0 ? { bound: 0, value: 0 } : buckets[i - 1]
  if (!above || !below) return undefined
  // Nothing is known of what lies above the last bound.
  if (above.bound === Number.POSITIVE_INFINITY) return below.bound
  const part = above.value === below.value ? 1 : (wanted - below.value) / (above.value - below.value)
  return below.bound + (above.bound - below.bound) * part
}
