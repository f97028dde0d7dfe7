import { Family, type RowEffect } from '../../commit/index.js'
import type { StreamId } from '../../log/index.js'
import { numbered } from '../rows.js'

/** How far a feed is. */
export interface StoredFeed<Cursor> {
  readonly cursor: Cursor
  readonly isEnd: boolean
}

const version = 1

/** `feed`: family, pipeline u32be, stream u32be -> version u8, JSON. */
function feedKey(pipeline: number, stream: StreamId): Buffer {
  const key = Buffer.alloc(9)
  numbered(Family.feed, pipeline).copy(key)
  key.writeUInt32BE(stream, 5)
  return key
}

export const feedRow = (pipeline: number, stream: StreamId, stored: StoredFeed<unknown>): RowEffect => ({
  key: feedKey(pipeline, stream),
  value: Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(stored))]),
})

export const feedGone = (pipeline: number, stream: StreamId): RowEffect => ({
  key: feedKey(pipeline, stream),
  value: undefined,
})

/** Undefined before the first part has committed. */
export async function storedFeed<Cursor>(
  commit: { readDurable(key: Buffer): Promise<Buffer | undefined> | Buffer | undefined },
  pipeline: number,
  stream: StreamId,
): Promise<StoredFeed<Cursor> | undefined> {
  const value = await commit.readDurable(feedKey(pipeline, stream))
  return value && (JSON.parse(value.toString('utf8', 1)) as StoredFeed<Cursor>)
}
