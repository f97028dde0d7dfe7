import type { Metrics } from '../runtime/index.js'

export interface RequestMetrics {
  /** `operation` is an AWS operation or a route's method and path, never what a caller made up; `code` is `ok` or an error's. */
  readonly answered: (operation: string, code: string, seconds: number) => void
}

/** Registers what the server itself can count. */
export function requestMetrics(metrics: Metrics): RequestMetrics {
  const seconds = metrics.histogram('request_seconds', 'Time from a request to its answer.', 'seconds', [
    'operation',
    'code',
  ])
  return {
    answered: (operation, code, value) => seconds(value, { operation, code }),
  }
}
