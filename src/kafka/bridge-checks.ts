import type { Shard, StartPosition } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { TopicPlace } from './intake/seeking.js'
import type { BridgeOptions } from './options.js'

/** A place in a topic. Throws BAD_REQUEST for one that is in a stream alone. */
export function inTopic(to: StartPosition | TopicPlace): TopicPlace {
  if (typeof to === 'string' || !('sequence' in to)) return to
  throw new MillraceError('BAD_REQUEST', 'A topic has no sequence numbers.', {
    remedy: 'Say oldest, newest, a time, or offsets of its partitions.',
  })
}

/** A place in a stream. Throws BAD_REQUEST for one that is in a topic alone. */
export function inStream(to: StartPosition | TopicPlace): StartPosition {
  if (typeof to === 'string' || !('offsets' in to)) return to
  throw new MillraceError('BAD_REQUEST', 'Offsets are of a topic, which a bridge out does not read.', {
    remedy: 'Say oldest, newest, a sequence number or a time.',
  })
}

/** A message about an item needs the item: every shard that will be read must keep new images. */
export function checkImages(options: BridgeOptions, shards: readonly Shard[]): void {
  if (options.format === 'dynamodb-streams') return
  const lacking = shards.filter((shard) => !shard.images.new && (options.start === 'oldest' || shard.state === 'open'))
  if (lacking.length === 0) return
  const from = Math.min(...shards.filter((shard) => shard.images.new).map((shard) => shard.firstSequence))
  throw new MillraceError(
    'IMAGES_NOT_KEPT',
    `Some changes of ${options.source} were logged without the item.${Number.isFinite(from) ? ` Images are kept from sequence number ${from} on.` : ''}`,
    {
      remedy: 'Start at newest, or choose the format dynamodb-streams.',
      details: { from: Number.isFinite(from) ? from : undefined },
    },
  )
}

/** Throws BAD_REQUEST for a format that a plain stream has no changes for. */
export function checkPlain(options: BridgeOptions): void {
  if (options.format !== 'dynamodb-streams') return
  throw new MillraceError(
    'BAD_REQUEST',
    `${options.source} is a plain stream; the format dynamodb-streams is for tables.`,
  )
}
