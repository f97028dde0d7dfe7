import type { CellName } from '../../operators/task/index.js'

const numberTag = 1
const textTag = 2
/** Text in which surrogates stand alone has no UTF-8. */
const wideTextTag = 3

/** The name of a cell or the tag of a timer as bytes: nothing, 1 and a double big-endian, 2 and UTF-8, or 3 and UTF-16LE. */
export function encodeName(name: CellName | undefined): Buffer {
  if (name === undefined) return nothing
  if (typeof name === 'number') {
    const bytes = Buffer.allocUnsafe(9)
    bytes[0] = numberTag
    // -0 + 0 is 0.
    bytes.writeDoubleBE(name + 0, 1)
    return bytes
  }
  const isWide = /\p{Surrogate}/u.test(name)
  return Buffer.concat([Buffer.from([isWide ? wideTextTag : textTag]), Buffer.from(name, isWide ? 'utf16le' : 'utf8')])
}

export function decodeName(bytes: Buffer): CellName | undefined {
  if (bytes.length === 0) return undefined
  if (bytes[0] === numberTag) return bytes.readDoubleBE(1)
  return bytes.toString(bytes[0] === wideTextTag ? 'utf16le' : 'utf8', 1)
}

const nothing = Buffer.alloc(0)
