import { hashKey, MillraceError } from '../runtime/index.js'
import { batchChecksum, batchHeaderBytes, batchMagic, producerOf, recordHeaderBytes } from './format.js'
import { Codec } from './types.js'

/** The upper half of a 64-bit number below 2^53. */
const upperMax = 2 ** 21 - 1
const invalid = (what: string): MillraceError => new MillraceError('FORMAT_INVALID', `The batch ${what}.`)

/** Kind, flags and the byte behind the codec, which are zero in a record of a client: an append. */
const appendMask = 0xff00_ffff

/**
 * Checks a batch of a plain stream that came from outside: every length and offset of it, so that nothing later reads past
 * its end; every key hash, since a wrong one breaks the order of its key for ever (all checks of a record take about 240 ns, 130 of
 * them for the hash and what is reserved, where an append over HTTP takes 2,400); and that what is reserved is zero, so that it can get a meaning.
 * Returns the number of its records. Throws FORMAT_INVALID.
 */
export function checkBatch(batch: Buffer): number {
  if (batch.length < batchHeaderBytes)
    throw invalid(`has ${batch.length} bytes, fewer than its header of ${batchHeaderBytes}`)
  if (batch.readUInt32LE(0) !== batchMagic) throw invalid('does not begin with MRB1')
  if (batch.readUInt32LE(4) !== 0) throw invalid('has a version or flags that this daemon does not know')
  const length = batch.readUInt32LE(8)
  if (length !== batch.length) throw invalid(`says that it has ${length} bytes and has ${batch.length}`)
  const count = batch.readUInt32LE(12)
  const bodies = batchHeaderBytes + count * recordHeaderBytes
  if (count === 0 || bodies > length) throw invalid(`cannot hold the ${count} records that it announces`)
  if (batch.readUInt32LE(16) !== batchChecksum(batch, 0, length)) throw invalid('does not match its checksum')
  if (batch.readUInt32LE(20) !== 0 || batch.readUInt32LE(44) !== 0)
    throw invalid('has a header whose reserved fields are not zero')
  checkProducer(batch)
  for (let i = 0, start = 0; i < count; i++) {
    const header = batchHeaderBytes + i * recordHeaderBytes
    const end = i + 1 < count ? batch.readUInt32LE(header + recordHeaderBytes + 28) : length - bodies
    const keyEnd = start + batch.readUInt16LE(header + 12)
    if (batch.readUInt32LE(header + 28) !== start || keyEnd > end || end > length - bodies)
      throw invalid(`has a record ${i} whose key or body lies outside of it`)
    const fault = recordFault(batch, header, bodies + start, bodies + keyEnd)
    if (fault !== undefined) throw invalid(`has a record ${i} ${fault}`)
    start = end
  }
  return count
}

/** Without a producer, its number and epoch have no meaning and must be zero. */
function checkProducer(batch: Buffer): void {
  for (const at of [24, 32])
    if (batch.readUInt32LE(at + 4) > upperMax) throw invalid('has a producer or a number that is not below 2^53')
  if (producerOf(batch)) return
  for (let at = 32; at < 44; at += 4)
    if (batch.readUInt32LE(at) !== 0) throw invalid('has a number or an epoch without a producer')
}

/** What a client's record header must not say, its key being where the header says. */
function recordFault(batch: Buffer, header: number, keyStart: number, keyEnd: number): string | undefined {
  const kinds = batch.readUInt32LE(header + 8)
  const codec = kinds >>> 16
  if ((kinds & appendMask) !== 0 || codec > Codec.msgpack || codec === Codec.dynamoJsonChange)
    return 'of a kind, codec or with flags that only the daemon writes'
  if (batch.readUInt16LE(header + 14) !== 0) return 'whose reserved fields are not zero'
  if ((batch.readUInt32LE(header + 24) !== 0) !== (codec === Codec.row))
    return 'that is a row without a shape, or has a shape and is no row'
  if (batch.readUInt32LE(header + 20) > upperMax) return 'whose time is not below 2^53'
  const { hi, lo } = hashKey(batch, keyStart, keyEnd)
  if (batch.readUInt32LE(header) !== hi || batch.readUInt32LE(header + 4) !== lo)
    return 'whose key hash is not that of its key (MurmurHash3_x86_128 with seed 0, the first two lanes)'
  return undefined
}

/** Shapes of the rows of a batch that was checked which nobody knows, each once. */
export function unknownShapes(batch: Buffer, isKnown: (shape: number) => boolean): readonly number[] {
  const unknown = new Set<number>()
  const end = batchHeaderBytes + batch.readUInt32LE(12) * recordHeaderBytes
  let last = 0
  for (let header = batchHeaderBytes; header < end; header += recordHeaderBytes) {
    const shape = batch.readUInt32LE(header + 24)
    if (shape === last) continue
    last = shape
    if (shape !== 0 && !isKnown(shape)) unknown.add(shape)
  }
  return [...unknown]
}
