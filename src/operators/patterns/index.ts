export {
  type Condition,
  type Guard,
  Pattern,
  type PatternMatch,
  type PatternStart,
  pattern,
  type SoFar,
  stageRowsMax,
} from './pattern.js'
export {
  type PatternGiven,
  type PatternOptions,
  partialMatchesMax,
  patternStep,
  patternWaitingMax,
  type SkipStrategy,
} from './step.js'
