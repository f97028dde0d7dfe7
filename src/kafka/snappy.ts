/*
 * Snappy, as Kafka's clients write it: raw blocks (https://github.com/google/snappy/blob/main/format_description.txt), mostly in the
 * stream of the Java library, a head of 16 bytes and then blocks behind their lengths.
 */
const streamHead = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const streamHeadBytes = 16

/** Throws RangeError for what is no such stream, or gives more than `bytesMax`. */
export function snappyStream(bytes: Buffer, bytesMax: number): Buffer {
  if (!bytes.subarray(0, streamHead.length).equals(streamHead)) return snappyBlock(bytes, bytesMax)
  const blocks: Buffer[] = []
  let left = bytesMax
  for (let at = streamHeadBytes; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    at += 4
    if (at + length > bytes.length) throw new RangeError('a snappy block ends beyond its stream')
    const block = snappyBlock(bytes.subarray(at, at + length), left)
    blocks.push(block)
    left -= block.length
    at += length
  }
  return Buffer.concat(blocks)
}

function snappyBlock(bytes: Buffer, bytesMax: number): Buffer {
  let at = 0
  let size = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++]
    if (byte === undefined || scale > 2 ** 28) throw new RangeError('a snappy block has no length')
    size += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  if (size > bytesMax) throw new RangeError(`it unpacks to more than ${bytesMax} bytes`)
  const out = Buffer.allocUnsafe(size)
  let to = 0
  while (at < bytes.length) {
    const tag = bytes[at++] as number
    const kind = tag & 3
    if (kind === 0) {
      let length = (tag >>> 2) + 1
      if (length > 60) {
        const wide = length - 60
        length = bytes.readUIntLE(at, wide) + 1
        at += wide
      }
      if (at + length > bytes.length || to + length > size) throw new RangeError('a snappy literal is too long')
      bytes.copy(out, to, at, at + length)
      at += length
      to += length
      continue
    }
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const wide = kind === 3 ? 4 : kind
    let distance = bytes.readUIntLE(at, wide)
    if (kind === 1) distance |= (tag >>> 5) << 8
    at += wide
    to = copyWithin(out, to, distance, length)
  }
  if (to !== size) throw new RangeError('a snappy block is shorter than it says')
  return out
}

/** Repeats what lies `distance` bytes before `to`; the copy may overlap itself. Gives the place behind it. */
export function copyWithin(out: Buffer, to: number, distance: number, length: number): number {
  const from = to - distance
  if (distance <= 0 || from < 0 || to + length > out.length) throw new RangeError('a copy lies outside of its block')
  if (distance >= length) out.copyWithin(to, from, from + length)
  else for (let i = 0; i < length; i++) out[to + i] = out[from + i] as number
  return to + length
}
