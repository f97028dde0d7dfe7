import { isTrimmed } from '../groups/index.js'
import type { ReadRooms } from './daemon-metrics.js'
import { perStream } from './per-stream.js'

/** What retention can tell of streams and groups. */
export function retentionMetrics(read: ReadRooms): void {
  read('log_bytes', 'gauge', 'Bytes of chunks that a stream keeps.', ['stream'], ({ log }) =>
    perStream(log.streams(), (stream) => log.bytesOf(stream.id)),
  )
  read(
    'retention_held_bytes',
    'gauge',
    'Bytes that a stream keeps past its retention because a group holds them.',
    ['stream'],
    ({ log, retention }) => perStream(log.streams(), (stream) => retention.heldBytes(stream.id)),
  )
  read(
    'group_trimmed',
    'gauge',
    '1 while a group cannot go on, because records that it had not read were trimmed.',
    ['group'],
    ({ log, groups }) =>
      groups.list().map((group) => ({ labels: { group: group.name }, value: isTrimmed(log, group) ? 1 : 0 })),
  )
}
