import { addExtension, Packr } from 'msgpackr'
import { PackedMap } from '../state-value.js'

const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false })
/** A Map is extension 77; MessagePack's own maps are plain objects. */
addExtension({
  Class: PackedMap,
  type: 77,
  write: (map: PackedMap) => map.entries,
  read: (entries: [unknown, unknown][]) => new Map(entries),
})

/** A state that `packable` let pass, as MessagePack. */
export const packState = (value: unknown): Buffer => packr.pack(value)

export const unpackState = (bytes: Uint8Array): unknown => packr.unpack(bytes) as unknown
