import type { Metric } from 'prom-client'

type Labels = Readonly<Record<string, string>>

interface Series {
  readonly labels: Labels
  /** How many values fell between a bound and the one before it; the last counts what is above all bounds. */
  readonly counts: number[]
  sum: number
}

/**
 * A histogram of what is counted with every request. prom-client's own builds a text of the labels and checks them each
 * time, which took 1.2 µs of a request; here a series is found by its labels' values alone.
 */
export class RequestHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #bounds: readonly number[]
  readonly #labelNames: readonly string[]
  readonly #series: Series[] = []
  /** By the value of the first label, then of the second, and so on; in the end the series. */
  readonly #tree = new Map<string, unknown>()

  constructor(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]) {
    this.name = name
    this.help = help
    this.#labelNames = labelNames
    this.#bounds = bounds
  }

  observe(value: number, labels: Labels): void {
    const series = this.#find(labels)
    let bucket = 0
    while (value > (this.#bounds[bucket] as number)) bucket++
    series.counts[bucket] = (series.counts[bucket] as number) + 1
    series.sum += value
  }

  #find(labels: Labels): Series {
    let node = this.#tree
    const names = this.#labelNames
    const last = names.length - 1
    for (let i = 0; i < last; i++) {
      const value = labels[names[i] as string] as string
      let next = node.get(value) as Map<string, unknown> | undefined
      if (!next) {
        next = new Map()
        node.set(value, next)
      }
      node = next
    }
    const value = labels[names[last] as string] as string
    const found = node.get(value) as Series | undefined
    if (found) return found
    const series = { labels: { ...labels }, counts: new Array(this.#bounds.length + 1).fill(0), sum: 0 }
    node.set(value, series)
    this.#series.push(series)
    return series
  }

  /** As prom-client's registry asks for it. */
  async get() {
    const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = []
    for (const { labels, counts, sum } of this.#series) {
      let count = 0
      counts.forEach((each, i) => {
        count += each
        const le = i < this.#bounds.length ? (this.#bounds[i] as number) : '+Inf'
        values.push({ metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count })
      })
      values.push({ metricName: `${this.name}_sum`, labels: { ...labels }, value: sum })
      values.push({ metricName: `${this.name}_count`, labels: { ...labels }, value: count })
    }
    return { name: this.name, help: this.help, type: this.type, values, aggregator: this.aggregator }
  }

  /** The registry's type names prom-client's own classes alone; it calls no more of a metric than its name and `get`. */
  asMetric(): Metric {
    return this as unknown as Metric
  }
}
