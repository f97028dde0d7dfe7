import type { Daemon } from '../../src/daemon/index.js'
import { Metrics } from '../../src/runtime/index.js'
import { connectionMetrics, daemonMetrics, requestMetrics } from '../../src/server/index.js'

const nobody = undefined as unknown

/** Every name that a page of /metrics can have, with the three of each histogram. */
export function metricNames(): ReadonlySet<string> {
  const metrics = new Metrics('')
  requestMetrics(metrics)
  // Nothing is looked up until somebody scrapes.
  connectionMetrics(metrics, nobody as Parameters<typeof connectionMetrics>[1])
  daemonMetrics(metrics).watch(nobody as Daemon)
  return new Set(
    metrics
      .describe()
      .flatMap(({ name, kind }) =>
        kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
  )
}

/** The metrics, and the results of recording rules, that an expression asks for. */
export const namesIn = (expression: string): readonly string[] =>
  expression.match(/\b(?:[a-z]+:)?millrace_\w+(?::\w+)?/g) ?? []
