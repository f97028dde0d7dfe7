export { Average } from './average.js'
export { Count } from './count.js'
export { Deduplicate } from './deduplicate.js'
export { Distinct } from './distinct.js'
export { Extreme } from './extreme.js'
export { Folding } from './fold.js'
export type { Ordered } from './numbers.js'
export {
  Process,
  type ProcessContext,
  type ProcessDefinition,
  type ProcessTimer,
  type StateDeclarations,
  type Typed,
  typed,
} from './process.js'
export { Sum } from './sum.js'
export { Top } from './top.js'
export {
  type DeclaredState,
  type ListState,
  listState,
  type MapState,
  mapState,
  type StateDeclaration,
  type ValueState,
  valueState,
} from './user-state.js'
