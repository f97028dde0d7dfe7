import { addExtension, Packr } from 'msgpackr'
import { PackedMap, PackedNegativeZero, PackedObject, PackedText } from '../state-value.js'

const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false })
/** A Map is extension 77; MessagePack's own maps are plain objects. */
addExtension({
  Class: PackedMap,
  type: 77,
  write: (map: PackedMap) => map.entries,
  read: (entries: [unknown, unknown][]) => new Map(entries),
})
/** A text in which surrogates stand alone is extension 78: its UTF-16LE. */
addExtension({
  Class: PackedText,
  type: 78,
  write: ({ text }: PackedText) => Buffer.from(text, 'utf16le'),
  read: (bytes: Uint8Array) => Buffer.from(bytes).toString('utf16le'),
})
/** An object with a name that would not come back is extension 79: its members. `fromEntries` makes `__proto__` one like others. */
addExtension({
  Class: PackedObject,
  type: 79,
  write: ({ entries }: PackedObject) => entries,
  read: (entries: [string, unknown][]) => Object.fromEntries(entries),
})
/** -0 is extension 80, with nothing in it. */
addExtension({ Class: PackedNegativeZero, type: 80, write: () => null, read: () => -0 })

/** A state that `packable` let pass, as MessagePack. */
export const packState = (value: unknown): Buffer => packr.pack(value)

export const unpackState = (bytes: Uint8Array): unknown => packr.unpack(bytes) as unknown
