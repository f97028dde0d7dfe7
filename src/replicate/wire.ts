import { MillraceError } from '../runtime/index.js'
import type { RemoteChange, Version } from '../tables/index.js'

/*
 * A change on its way to another region, little-endian:
 *
 *   0 flags u8 (1 deletion, 2 it replaced a version)   1 region u8   2 stamp: milliseconds u48, counter u16
 *   10 region of the replaced version u8   11 its stamp   19 length of the place u16   21 size of the item u32   25 its length u32
 *   29 place, item as DynamoDB JSON
 *
 * Regions are places in the list that the batch has. Changes follow each other to the end of the batch.
 */
const headBytes = 29
const deletion = 1
const replacing = 2

/** Bytes of a change on the wire. */
export const changeBytes = ({ place, image }: RemoteChange): number =>
  headBytes + place.length + (image?.json.length ?? 0)

/** Gives numbers to the regions that the changes of one batch name. */
export class RegionNumbers {
  readonly names: string[] = []
  readonly #numbers = new Map<string, number>()

  of(region: string): number {
    let number = this.#numbers.get(region)
    if (number === undefined) {
      number = this.names.length
      this.names.push(region)
      this.#numbers.set(region, number)
    }
    return number
  }
}

export function encodeChanges(changes: Iterable<RemoteChange>, regions: RegionNumbers): Buffer {
  const all = [...changes]
  const bytes = Buffer.allocUnsafe(all.reduce((sum, change) => sum + changeBytes(change), 0))
  let at = 0
  for (const { place, version, replaced, image } of all) {
    bytes[at] = (image ? 0 : deletion) | (replaced ? replacing : 0)
    writeVersion(bytes, at + 1, version, regions)
    writeVersion(bytes, at + 10, replaced ?? version, regions)
    bytes.writeUInt16LE(place.length, at + 19)
    bytes.writeUInt32LE(image?.size ?? 0, at + 21)
    bytes.writeUInt32LE(image?.json.length ?? 0, at + 25)
    at += headBytes
    at += place.copy(bytes, at)
    if (image) at += image.json.copy(bytes, at)
  }
  return bytes
}

function writeVersion(bytes: Buffer, at: number, { stamp, region }: Version, regions: RegionNumbers): void {
  bytes[at] = regions.of(region)
  bytes.writeUIntLE(stamp.ms, at + 1, 6)
  bytes.writeUInt16LE(stamp.counter, at + 7)
}

/** Views into the bytes. Throws FORMAT_INVALID. */
export function decodeChanges(bytes: Buffer, regions: readonly string[]): RemoteChange[] {
  const changes: RemoteChange[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + headBytes > bytes.length) throw cut()
    const flags = bytes[at] as number
    const placeEnd = at + headBytes + bytes.readUInt16LE(at + 19)
    const end = placeEnd + bytes.readUInt32LE(at + 25)
    if (end > bytes.length) throw cut()
    const image = { json: bytes.subarray(placeEnd, end), size: bytes.readUInt32LE(at + 21) }
    changes.push({
      place: bytes.subarray(at + headBytes, placeEnd),
      version: readVersion(bytes, at + 1, regions),
      replaced: flags & replacing ? readVersion(bytes, at + 10, regions) : undefined,
      image: flags & deletion ? undefined : image,
    })
    at = end
  }
  return changes
}

function readVersion(bytes: Buffer, at: number, regions: readonly string[]): Version {
  const region = regions[bytes[at] as number]
  if (region === undefined)
    throw new MillraceError('FORMAT_INVALID', 'A change names a region that its batch does not.')
  return { region, stamp: { ms: bytes.readUIntLE(at + 1, 6), counter: bytes.readUInt16LE(at + 7) } }
}

const cut = (): MillraceError => new MillraceError('FORMAT_INVALID', 'A batch of changes ends within one.')

/** A head of JSON and a body behind it: length of the head u32le, head, body. */
export function encodeFrame(head: unknown, body: Buffer | undefined): Buffer {
  const json = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  return Buffer.concat([length, json, ...(body ? [body] : [])])
}

/** Throws FORMAT_INVALID. */
export function decodeFrame(bytes: Buffer): { readonly head: unknown; readonly body: Buffer } {
  const end = bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readUInt32LE(0)
  if (end > bytes.length) throw cut()
  try {
    return { head: JSON.parse(bytes.toString('utf8', 4, end)) as unknown, body: bytes.subarray(end) }
  } catch (error) {
    throw new MillraceError('FORMAT_INVALID', 'The head of a call is no JSON.', { cause: error })
  }
}
