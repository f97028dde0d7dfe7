import type { RowEffect } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import { shardKey, streamKey } from './keys.js'
import type { Shard, Stream } from './types.js'

/** Rows of descriptions are few and read by people too: a version byte, then UTF-8 JSON. */
const version = 1

function encode(value: unknown): Buffer {
  return Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(value))])
}

function decode<T>(what: string, value: Buffer): T {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A ${what} row has version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  return JSON.parse(value.toString('utf8', 1)) as T
}

export const streamRow = (stream: Stream): RowEffect => ({ key: streamKey(stream.id), value: encode(stream) })
export const shardRow = (shard: Shard): RowEffect => ({ key: shardKey(shard.stream, shard.id), value: encode(shard) })
export const decodeStream = (value: Buffer): Stream => decode<Stream>('stream', value)
export const decodeShard = (value: Buffer): Shard => decode<Shard>('shard', value)
