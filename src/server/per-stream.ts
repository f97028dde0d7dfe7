import type { Stream } from '../log/index.js'
import type { Sample } from '../runtime/index.js'

/** A sample for each name of a stream: a closed stream and its successor may have one, and Prometheus refuses two. */
export function perStream(streams: readonly Stream[], look: (stream: Stream) => number): Sample[] {
  const values = new Map<string, number>()
  for (const stream of streams) values.set(stream.name, (values.get(stream.name) ?? 0) + look(stream))
  return [...values].map(([stream, value]) => ({ labels: { stream }, value }))
}
