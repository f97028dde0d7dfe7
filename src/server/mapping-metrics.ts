import type { Rooms } from '../daemon/index.js'
import type { Mapping } from '../functions/index.js'
import type { Sample } from '../runtime/index.js'
import type { ReadRooms } from './daemon-metrics.js'

type Counted = keyof Mapping['counts']

const counters: readonly (readonly [string, Counted, string])[] = [
  ['mapping_records_total', 'records', 'Records that the function of a mapping has taken.'],
  ['mapping_batches_total', 'batches', 'Calls of a function by a mapping that were answered.'],
  ['mapping_failures_total', 'failures', 'Of these, those that failed, also in part.'],
  ['mapping_throttles_total', 'throttles', 'Calls that found the function busy, or not there.'],
  ['mapping_discarded_total', 'discarded', 'Records that a mapping gave up: after too many attempts, or too old.'],
  ['mapping_filtered_total', 'filtered', 'Records that no filter of a mapping takes.'],
  ['mapping_lost_total', 'lost', 'How often records were trimmed before a mapping had read them.'],
  [
    'mapping_destination_failures_total',
    'destinationFailures',
    'Documents that an on-failure destination did not take.',
  ],
]

/** What event source mappings can tell. */
export function mappingMetrics(read: ReadRooms): void {
  const samples = ({ mappings }: Rooms, value: (mapping: Mapping) => number): Sample[] =>
    mappings.all().map((mapping) => ({ labels: labelsOf(mapping), value: value(mapping) }))
  for (const [name, counted, help] of counters)
    read(name, 'counter', help, ['function', 'mapping'], (rooms) => samples(rooms, ({ counts }) => counts[counted]))
  read('mapping_enabled', 'gauge', '1 while a mapping calls its function.', ['function', 'mapping'], (rooms) =>
    samples(rooms, ({ state }) => (state === 'Enabled' ? 1 : 0)),
  )
  read(
    'mapping_lag_records',
    'gauge',
    'Sequence numbers that a mapping is behind its stream: an upper bound of its records.',
    ['function', 'mapping'],
    (rooms) => samples(rooms, ({ lagRecords }) => lagRecords),
  )
  read(
    'mapping_lag_seconds',
    'gauge',
    'Age of the oldest record that a mapping has not passed.',
    ['function', 'mapping'],
    ({ mappings }) =>
      Promise.all(
        mappings.all().map(async (mapping) => ({
          labels: labelsOf(mapping),
          value: (await mapping.measured()).lagSeconds,
        })),
      ),
  )
}

const labelsOf = ({ id, row }: Mapping): Record<string, string> => ({ function: row.functionName, mapping: id })
