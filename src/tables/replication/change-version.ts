import type { Stamp, StoredVersion } from '../items/item-value.js'
import { changeAt } from '../streams/change.js'

/*
 * What stands behind the images of a change that a table with replicas was written by in this region: version u8 (1), stamp of
 * the write (milliseconds u48be, counter u16be), then the version that it replaced: origin region u8 (255: there was none),
 * milliseconds u48be, counter u16be. Readers of changes that know nothing of it end before it.
 */
const version = 1
const bytes = 18
const none = 0xff

export interface ChangeVersion {
  readonly stamp: Stamp
  /** The version that the write replaced, item or tombstone. */
  readonly replaced: StoredVersion | undefined
}

export function encodeChangeVersion(stamp: Stamp, replaced: StoredVersion | undefined): Buffer {
  const encoded = Buffer.alloc(bytes)
  encoded[0] = version
  encoded.writeUIntBE(stamp.ms, 1, 6)
  encoded.writeUInt16BE(stamp.counter, 7)
  encoded[9] = replaced?.origin ?? none
  if (replaced) {
    encoded.writeUIntBE(replaced.stamp.ms, 10, 6)
    encoded.writeUInt16BE(replaced.stamp.counter, 16)
  }
  return encoded
}

/** Undefined of a change from before the table had replicas, or of a version that is not known. */
export function changeVersionOf(body: Buffer): ChangeVersion | undefined {
  const at = changeAt(body, 0).end
  return body.length < at + bytes || body[at] !== version ? undefined : decodeChangeVersion(body, at)
}

export function decodeChangeVersion(encoded: Buffer, at: number): ChangeVersion {
  const origin = encoded[at + 9] as number
  return {
    stamp: { ms: encoded.readUIntBE(at + 1, 6), counter: encoded.readUInt16BE(at + 7) },
    replaced:
      origin === none
        ? undefined
        : { origin, stamp: { ms: encoded.readUIntBE(at + 10, 6), counter: encoded.readUInt16BE(at + 16) } },
  }
}
