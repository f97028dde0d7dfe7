import { copyWithin } from './snappy.js'

/*
 * LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), of which Kafka writes those of independent blocks. The
 * checksums of a frame are passed over: the batch around it has been checked.
 */
const magic = 0x184d2204
const blockSizes = [0, 0, 0, 0, 64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024] as const
const isIndependent = 0x20
const hasBlockChecksum = 0x10
const hasContentSize = 0x08
const hasDictionary = 0x01
const isStored = 0x8000_0000

/** Throws RangeError for what is no such frame, or gives more than `bytesMax`. */
export function lz4Frame(bytes: Buffer, bytesMax: number): Buffer {
  if (bytes.readUInt32LE(0) !== magic) throw new RangeError('it does not begin as an LZ4 frame')
  const flags = bytes[4] as number
  const blockBytesMax = blockSizes[((bytes[5] as number) >>> 4) & 7] as number
  if (!(flags & isIndependent) || flags & hasDictionary || blockBytesMax === 0)
    throw new RangeError('it is an LZ4 frame of a kind that Kafka does not write')
  const blocks: Buffer[] = []
  const scratch = Buffer.allocUnsafe(blockBytesMax)
  let left = bytesMax
  for (let at = 7 + (flags & hasContentSize ? 8 : 0); ; ) {
    const head = bytes.readUInt32LE(at)
    at += 4
    if (head === 0) return Buffer.concat(blocks)
    const length = head & ~isStored
    if (at + length > bytes.length) throw new RangeError('an LZ4 block ends beyond its frame')
    const packed = bytes.subarray(at, at + length)
    const block = head >>> 31 ? packed : Buffer.from(scratch.subarray(0, lz4Block(packed, scratch)))
    left -= block.length
    if (left < 0) throw new RangeError(`it unpacks to more than ${bytesMax} bytes`)
    blocks.push(block)
    at += length + (flags & hasBlockChecksum ? 4 : 0)
  }
}

/** Unpacks into `out`, and gives how many bytes. */
function lz4Block(bytes: Buffer, out: Buffer): number {
  let at = 0
  let to = 0
  /** A length of which the token has the first 15. */
  const longer = (length: number): number => {
    if (length < 15) return length
    let sum = length
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('an LZ4 length has no end')
      sum += byte
      if (byte < 255) return sum
    }
  }
  while (at < bytes.length) {
    const token = bytes[at++] as number
    const literals = longer(token >>> 4)
    if (at + literals > bytes.length || to + literals > out.length) throw new RangeError('an LZ4 literal is too long')
    bytes.copy(out, to, at, at + literals)
    at += literals
    to += literals
    if (at === bytes.length) break
    const distance = bytes.readUInt16LE(at)
    at += 2
    to = copyWithin(out, to, distance, longer(token & 15) + 4)
  }
  return to
}
