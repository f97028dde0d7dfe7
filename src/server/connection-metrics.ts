import type { Metrics } from '../runtime/index.js'

/** What the server holds for its clients; both have a bound in `http`. */
export interface Held {
  connections(): number
  bodiesBytes(): number
}

export function connectionMetrics(metrics: Metrics, held: Held): void {
  metrics.read('http_connections', 'gauge', 'Connections that are open (http.connectionsMax at most).', [], () => [
    { value: held.connections() },
  ])
  metrics.read(
    'http_bodies_bytes',
    'gauge',
    'Bodies of requests that are being read or answered (http.bodiesBytesMax at most).',
    [],
    () => [{ value: held.bodiesBytes() }],
  )
}
