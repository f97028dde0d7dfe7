import { addExtension, Packr } from 'msgpackr'
import { PackedMap } from '../operators/task/index.js'

/** A Map is extension 77; MessagePack's own maps are plain objects. */
addExtension({
  Class: PackedMap,
  type: 77,
  write: (map: PackedMap) => map.entries,
  read: (entries: [unknown, unknown][]) => new Map(entries),
})

/** State as it is stored. */
export const statePackr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false })

/** Rows between threads: the names of members are written once a message. */
export const rowPackr = new Packr({ useRecords: true, moreTypes: true, structuredClone: false })
