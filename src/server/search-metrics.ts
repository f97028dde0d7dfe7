import type { Rooms } from '../daemon/index.js'
import type { Metrics } from '../runtime/index.js'
import type { SearchObserver } from '../search/index.js'
import type { ReadRooms } from './daemon-metrics.js'

type Index = ReturnType<Rooms['search']['all']> extends Iterable<infer Each> ? Each : never

/** What the full-text indexes can tell. */
export function searchMetrics(metrics: Metrics): { readonly observer: SearchObserver; watch(read: ReadRooms): void } {
  const indexed = metrics.histogram(
    'search_index_seconds',
    'Time from the commit of a change until it is found; of the oldest change in each batch.',
    'seconds',
    ['index'],
  )
  const searched = metrics.histogram('search_seconds', 'Time of a search in its index.', 'seconds', ['index'])
  return {
    observer: {
      indexed: (index, seconds) => indexed(seconds, { index }),
      searched: (index, seconds) => searched(seconds, { index }),
    },
    watch,
  }
}

function watch(read: ReadRooms): void {
  const perIndex = (
    name: string,
    kind: 'gauge' | 'counter',
    help: string,
    look: (index: Index) => number | Promise<number>,
  ): void =>
    read(name, kind, help, ['index'], ({ search }) =>
      Promise.all(
        [...search.all()].map(async (index) => ({
          labels: { index: index.definition.name },
          value: await look(index),
        })),
      ),
    )
  perIndex('search_ready', 'gauge', '1 while an index can be searched.', ({ phase }) => (phase === 'ready' ? 1 : 0))
  perIndex('search_documents', 'gauge', 'Items in an index.', (index) => index.size.documents)
  perIndex('search_bytes', 'gauge', 'Text, stored values and keys in an index.', (index) => index.size.bytes)
  perIndex(
    'search_lag_records',
    'gauge',
    'Sequence numbers of its table by which an index is behind: an upper bound of its changes.',
    (index) => index.lagRecords(),
  )
  perIndex('search_lag_seconds', 'gauge', 'Age of the oldest change that is not in an index that is ready.', (index) =>
    index.lagSeconds(),
  )
  perIndex(
    'search_changes_total',
    'counter',
    'Items and changes that went into an index.',
    ({ counts }) => counts.changes,
  )
  perIndex('search_searches_total', 'counter', 'Searches that were answered.', ({ counts }) => counts.searches)
  perIndex('search_failures_total', 'counter', 'Searches that failed in their index.', ({ counts }) => counts.failures)
  perIndex(
    'search_buildings_total',
    'counter',
    'How often an index was begun to be built.',
    ({ counts }) => counts.buildings,
  )
}
