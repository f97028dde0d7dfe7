export { matches } from './match.js'
export { PatternError, readPattern } from './pattern.js'
export { type EventFrame, RecordFilter } from './record-filter.js'
