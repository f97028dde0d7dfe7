import type { Rooms } from '../daemon/index.js'
import type { FunctionCounts, FunctionView } from '../functions/index.js'
import type { Metrics } from '../runtime/index.js'
import type { ReadRooms } from './daemon-metrics.js'

const counters: readonly (readonly [string, keyof FunctionCounts, string])[] = [
  ['function_invocations_total', 'invocations', 'Calls of a function that have ended.'],
  [
    'function_errors_total',
    'errors',
    'Of these, those that failed: the handler threw, took too long or ended its thread.',
  ],
  ['function_throttles_total', 'throttles', 'Calls that found all threads taken, and were not made.'],
  [
    'function_unhandled_sdk_errors_total',
    'unhandledSdkErrors',
    'Calls that succeeded although requests of the AWS SDK in them had failed.',
  ],
  ['function_failed_sdk_requests_total', 'failedSdkRequests', 'Requests of the AWS SDK that failed in handlers.'],
  ['function_retries_total', 'retries', 'Attempts after the first of calls that nobody waits for.'],
  ['function_dropped_total', 'dropped', 'Calls that nobody waits for and that were given up: their events are lost.'],
]

/** What functions can tell; counted since the daemon began. */
export function functionMetrics(metrics: Metrics): { onRooms(rooms: Rooms): void; watch(read: ReadRooms): void } {
  const seconds = metrics.histogram(
    'function_seconds',
    'Time of a call in its handler, without the loading of its module.',
    'seconds',
    ['function'],
  )
  return {
    onRooms: ({ functions }) => functions.observe((name, value) => seconds(value, { function: name })),
    watch,
  }
}

function watch(read: ReadRooms): void {
  const perFunction = (name: string, kind: 'gauge' | 'counter', help: string, look: (view: FunctionView) => number) =>
    read(name, kind, help, ['function'], ({ functions }) =>
      functions.list().map((view) => ({ labels: { function: view.name }, value: look(view) })),
    )
  for (const [name, counted, help] of counters) perFunction(name, 'counter', help, ({ counts }) => counts[counted])
  perFunction(
    'function_waiting_calls',
    'gauge',
    'Calls that nobody waits for and whose end has not come.',
    ({ waitingCalls }) => waitingCalls,
  )
  read('function_threads', 'gauge', 'Threads of all functions.', [], ({ functions }) => [{ value: functions.threads }])
}
