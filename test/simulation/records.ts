import { Codec, type NewRecord } from '../../src/log/index.js'
import type { Hash64 } from '../../src/runtime/index.js'
import { readChunk, type StoredRecord } from './stored.js'

export const hexOf = ({ hi, lo }: Hash64): string => hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')

export const hashOf = (hex: string): Hash64 => ({
  hi: Number.parseInt(hex.slice(0, 8), 16),
  lo: Number.parseInt(hex.slice(8), 16),
})

export const recordOf = (key: string, hash: Hash64, body: string): NewRecord => ({
  hash,
  kind: 0,
  flags: 0,
  codec: Codec.raw,
  time: 0,
  key: Buffer.from(key),
  body: Buffer.from(body),
})

export const recordsOf = (chunks: readonly Buffer[], from: number): StoredRecord[] =>
  chunks.flatMap((chunk) => readChunk(chunk, () => 0).records).filter(({ sequence }) => sequence >= from)
