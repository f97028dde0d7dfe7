/**
 * The body of a change record (Codec.dynamoJsonChange), little-endian:
 *
 *   0 length of keys u32   4 of new image u32   8 of old image u32   12 size of keys u32   16 of new u32   20 of old u32
 *   24 keys, new image, old image: DynamoDB JSON in UTF-8; an image that is absent has length 0
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
): Buffer {
  const newLength = newImage?.json.length ?? 0
  const oldLength = oldImage?.json.length ?? 0
  const body = Buffer.allocUnsafe(headerBytes + keys.json.length + newLength + oldLength)
  body.writeUInt32LE(keys.json.length, 0)
  body.writeUInt32LE(newLength, 4)
  body.writeUInt32LE(oldLength, 8)
  body.writeUInt32LE(keys.size, 12)
  body.writeUInt32LE(newImage?.size ?? 0, 16)
  body.writeUInt32LE(oldImage?.size ?? 0, 20)
  keys.json.copy(body, headerBytes)
  newImage?.json.copy(body, headerBytes + keys.json.length)
  oldImage?.json.copy(body, headerBytes + keys.json.length + newLength)
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

/** A change as text whose characters are the bytes of its body (latin1): `''` for an image that is absent. */
export interface ChangeText {
  readonly keys: string
  readonly newImage: string
  readonly oldImage: string
  readonly keysSize: number
  readonly newSize: number
  readonly oldSize: number
}

/**
 * What GetRecords copies into its answer, as one string that is then cut: 0.2 µs a record, where a Buffer for each image
 * and a copy of it took 1.5.
 */
export function changeText(body: Buffer): ChangeText {
  const keysEnd = body.readUInt32LE(0)
  const newEnd = keysEnd + body.readUInt32LE(4)
  const text = body.toString('latin1', headerBytes, headerBytes + newEnd + body.readUInt32LE(8))
  return {
    keys: text.slice(0, keysEnd),
    newImage: text.slice(keysEnd, newEnd),
    oldImage: text.slice(newEnd),
    keysSize: body.readUInt32LE(12),
    newSize: body.readUInt32LE(16),
    oldSize: body.readUInt32LE(20),
  }
}
