/**
 * The body of a change record (Codec.dynamoJsonChange), little-endian:
 *
 *   0 length of keys u32   4 of new image u32   8 of old image u32   12 size of keys u32   16 of new u32   20 of old u32
 *   24 keys, new image, old image: DynamoDB JSON in UTF-8; an image that is absent has length 0
 *   behind these, of a table with replicas: what its links need (replication/change-version.ts)
 *
 * Lengths are bytes here, sizes are bytes by AWS's rules (SizeBytes is their sum over what a view shows).
 */
const headerBytes = 24

export interface ImageBytes {
  readonly json: Buffer
  /** Bytes by AWS's rules. */
  readonly size: number
}

export function encodeChange(
  keys: ImageBytes,
  newImage: ImageBytes | undefined,
  oldImage: ImageBytes | undefined,
  version?: Buffer,
): Buffer {
  const newLength = newImage?.json.length ?? 0
  const oldLength = oldImage?.json.length ?? 0
  const imagesEnd = headerBytes + keys.json.length + newLength + oldLength
  const body = Buffer.allocUnsafe(imagesEnd + (version?.length ?? 0))
  body.writeUInt32LE(keys.json.length, 0)
  body.writeUInt32LE(newLength, 4)
  body.writeUInt32LE(oldLength, 8)
  body.writeUInt32LE(keys.size, 12)
  body.writeUInt32LE(newImage?.size ?? 0, 16)
  body.writeUInt32LE(oldImage?.size ?? 0, 20)
  keys.json.copy(body, headerBytes)
  newImage?.json.copy(body, headerBytes + keys.json.length)
  oldImage?.json.copy(body, headerBytes + keys.json.length + newLength)
  version?.copy(body, imagesEnd)
  return body
}

export interface DecodedChange {
  readonly keys: Buffer
  readonly newImage?: Buffer
  readonly oldImage?: Buffer
  readonly keysSize: number
  readonly newSize: number
  readonly oldSize: number
}

/** Views into the body; nothing is parsed. */
export function decodeChange(body: Buffer): DecodedChange {
  const keysEnd = headerBytes + body.readUInt32LE(0)
  const newEnd = keysEnd + body.readUInt32LE(4)
  const oldEnd = newEnd + body.readUInt32LE(8)
  return {
    keys: body.subarray(headerBytes, keysEnd),
    ...(newEnd > keysEnd ? { newImage: body.subarray(keysEnd, newEnd) } : {}),
    ...(oldEnd > newEnd ? { oldImage: body.subarray(newEnd, oldEnd) } : {}),
    keysSize: body.readUInt32LE(12),
    newSize: body.readUInt32LE(16),
    oldSize: body.readUInt32LE(20),
  }
}

/** Where the parts of a change lie in the bytes that hold its body, each up to the next; one that is absent has no bytes. */
export interface ChangePlaces {
  readonly keys: number
  readonly newImage: number
  readonly oldImage: number
  readonly end: number
  readonly keysSize: number
  readonly newSize: number
  readonly oldSize: number
}

/** For whoever copies the parts: no view of them is made. */
export function changeAt(bytes: Uint8Array, at: number): ChangePlaces {
  const keys = at + headerBytes
  const newImage = keys + u32(bytes, at)
  const oldImage = newImage + u32(bytes, at + 4)
  return {
    keys,
    newImage,
    oldImage,
    end: oldImage + u32(bytes, at + 8),
    keysSize: u32(bytes, at + 12),
    newSize: u32(bytes, at + 16),
    oldSize: u32(bytes, at + 20),
  }
}

/** As `Buffer.readUInt32LE`, without its checks: the chunk that holds the body matched its checksum. */
function u32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
  return low + (bytes[at + 3] as number) * 0x1_00_00_00
}
