export { matches } from './match.js'
export { checkPattern, PatternError, readPattern } from './pattern.js'
export { type EventFrame, RecordFilter } from './record-filter.js'
