import { Packr } from 'msgpackr'

/** Rows between threads: the names of members are written once a message. Maps come as `packable` marks them. */
export const rowPackr = new Packr({ useRecords: true, moreTypes: true, structuredClone: false })
