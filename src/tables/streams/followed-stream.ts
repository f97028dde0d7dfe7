import type { Sequence, StreamId } from '../../log/index.js'
import type { AwsStream, ViewType } from '../catalogue/table-row.js'
import type { KeySchema } from '../values/index.js'

/** An AWS stream as those know it who follow it within the daemon. */
export interface FollowedStream {
  readonly arn: string
  readonly tableName: string
  readonly view: ViewType
  readonly schema: KeySchema
  /** The change log below it, and the bounds of its window there: shards that were opened from `first` on, up to `last`. */
  readonly stream: StreamId
  readonly first: Sequence
  /** Only of one that was switched off, or whose table is gone. */
  readonly last?: Sequence
}

export function followedStream(arn: string, found: AwsStream): FollowedStream {
  const { tableName, view, schema, stream, first, last } = found
  return { arn, tableName, view, schema, stream, first, ...(last === undefined ? {} : { last }) }
}
