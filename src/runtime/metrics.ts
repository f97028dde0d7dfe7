import { createRequire } from 'node:module'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Clock, systemClock } from './clock.js'
import { RequestHistogram } from './request-histogram.js'

const prefix = 'millrace_'
const secondsBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const bytesBuckets = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26]

const delayResolutionMs = 20
/** A second reader of the metrics must not cut short what the first one measures. */
const delayWindowMs = 10_000

type Labels = Readonly<Record<string, string>>

/** What the reference says of a metric. */
export interface MetricDescription {
  /** With its prefix. */
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

/** A sample as it stands, with the name that it has on the page: a histogram has `_bucket`, `_sum` and `_count`. */
export interface NamedSample {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

/** One sample of a metric that is read when it is asked for. */
export interface Sample {
  readonly labels?: Labels
  readonly value: number
}

/**
 * The daemon's metrics: prefix `millrace_`, base units, few labels, never a key of a user's data. prom-client's default
 * metrics are not used: promtool refuses some of their names.
 */
export class Metrics {
  // Loaded with the first: commands have no metrics.
  readonly #prometheus = createRequire(import.meta.url)('prom-client') as typeof import('prom-client')
  readonly #registry = new this.#prometheus.Registry()
  readonly #described: MetricDescription[] = []
  readonly contentType = this.#registry.contentType

  constructor(version: string, clock: Clock = systemClock) {
    this.read('build_info', 'gauge', 'The version that runs; always 1.', ['version'], () => [
      { labels: { version }, value: 1 },
    ])
    this.read('process_cpu_seconds_total', 'counter', 'Processor time of the process, user and system.', [], () => {
      const { user, system } = process.cpuUsage()
      return [{ value: (user + system) / 1e6 }]
    })
    this.read('process_resident_memory_bytes', 'gauge', 'Resident memory of the process.', [], () => [
      { value: process.memoryUsage.rss() },
    ])
    this.read(
      'process_memory_bytes',
      'gauge',
      'Memory of the main thread: its JavaScript heap in use, and buffers outside of it.',
      ['kind'],
      () => {
        const { heapUsed, external } = process.memoryUsage()
        return [
          { labels: { kind: 'heap' }, value: heapUsed },
          { labels: { kind: 'external' }, value: external },
        ]
      },
    )
    this.read('process_uptime_seconds', 'gauge', 'Time since the process was started.', [], () => [
      { value: process.uptime() },
    ])
    this.#readEventLoop(clock)
  }

  #readEventLoop(clock: Clock): void {
    const delay = monitorEventLoopDelay({ resolution: delayResolutionMs })
    delay.enable()
    let began = clock.monotonic()
    let window: readonly Sample[] | undefined
    this.read(
      'event_loop_lag_seconds',
      'gauge',
      'How late the event loop ran timers, in the newest whole window of 10 s or more between two scrapes.',
      ['percentile'],
      () => {
        const samples = [50, 99].map((percentile) => ({
          labels: { percentile: String(percentile) },
          // What is measured includes the interval of the timer itself.
          value: Math.max(0, delay.percentile(percentile) / 1e9 - delayResolutionMs / 1000) || 0,
        }))
        const isWhole = clock.monotonic() - began >= delayWindowMs
        if (isWhole) {
          delay.reset()
          began = clock.monotonic()
        }
        if (isWhole || window === undefined) window = samples
        return window
      },
    )
  }

  counter(name: string, help: string, labels: readonly string[] = []): (value: number, labels?: Labels) => void {
    const counter = new this.#prometheus.Counter(this.#options(name, 'counter', help, labels))
    return (value, of) => (of ? counter.inc(of, value) : counter.inc(value))
  }

  histogram(
    name: string,
    help: string,
    unit: 'seconds' | 'bytes',
    labels: readonly string[] = [],
  ): (value: number, labels?: Labels) => void {
    const buckets = unit === 'seconds' ? secondsBuckets : bytesBuckets
    const options = this.#options(name, 'histogram', help, labels)
    if (labels.length === 0) {
      const histogram = new this.#prometheus.Histogram({ ...options, buckets })
      return (value) => histogram.observe(value)
    }
    const histogram = new RequestHistogram(options.name, help, labels, buckets)
    this.#registry.registerMetric(histogram.asMetric())
    return (value, of) => histogram.observe(value, of as Labels)
  }

  /** A metric whose samples are looked up at each scrape. A counter's samples must only grow. */
  read(
    name: string,
    kind: 'gauge' | 'counter',
    help: string,
    labels: readonly string[],
    look: () => readonly Sample[] | Promise<readonly Sample[]>,
  ): void {
    const options = this.#options(name, kind, help, labels)
    if (kind === 'gauge') {
      new this.#prometheus.Gauge({
        ...options,
        async collect() {
          // The samples come first: between the reset and the last of them nobody else may run.
          const samples = await look()
          this.reset()
          for (const { labels: of, value } of samples) of ? this.set(of, value) : this.set(value)
        },
      })
    } else {
      new this.#prometheus.Counter({
        ...options,
        async collect() {
          const samples = await look()
          this.reset()
          for (const { labels: of, value } of samples) of ? this.inc(of, value) : this.inc(value)
        },
      })
    }
  }

  #options(name: string, kind: MetricDescription['kind'], help: string, labels: readonly string[]) {
    this.#described.push({ name: prefix + name, kind, help, labels })
    return { name: prefix + name, help, labelNames: [...labels], registers: [this.#registry] }
  }

  /** Every metric, in the order of its registration. */
  describe(): readonly MetricDescription[] {
    return this.#described
  }

  /** The samples of some metrics, named without their prefix; of one that is not known there are none. */
  async samples(names: readonly string[]): Promise<readonly NamedSample[]> {
    const samples: NamedSample[] = []
    for (const name of new Set(names)) {
      const metric = await this.#registry.getSingleMetric(prefix + name)?.get()
      for (const value of metric?.values ?? []) samples.push(namedSample(name, value))
    }
    return samples
  }

  /** The page for Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }
}

function namedSample(
  name: string,
  {
    metricName,
    labels,
    value,
  }: { metricName?: string; labels: Partial<Record<string, string | number>>; value: number },
): NamedSample {
  const texts = Object.entries(labels).map(([label, text]) => [label, String(text)])
  return { name: metricName?.slice(prefix.length) ?? name, labels: Object.fromEntries(texts) as Labels, value }
}
