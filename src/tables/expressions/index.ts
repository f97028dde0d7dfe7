export { applyUpdate } from './apply-update.js'
export { type Condition, conditionPaths, inOperandsMax, type Operand, parseCondition } from './condition.js'
export {
  ExpressionContext,
  type Placeholders,
  pathDepthMax,
  placeholdersBytesMax,
  referenceBytesMax,
} from './context.js'
export { evaluateCondition } from './evaluate.js'
export {
  type AttributeConditions,
  attributeConditionsOf,
  compositeKeyConditionOf,
  type KeyCondition,
  type KeyConditions,
  type KeyOperator,
  keyConditionOf,
  parseKeyCondition,
  readKeyCondition,
} from './key-condition.js'
export { listIndexMax } from './names.js'
export type { Path, PathList } from './paths.js'
export { type Projection, parseProjection, project, updatedAttributes } from './projection.js'
export { expressionBytesMax, expressionNestingMax, expressionOperatorsMax } from './reader.js'
export { parseUpdate, type Update, updateTopLevelNames, writtenTypes } from './update.js'
