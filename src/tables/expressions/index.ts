export { applyUpdate, OperandTypeError } from './apply-update.js'
export { type Condition, conditionPaths, type Operand, parseCondition } from './condition.js'
export { ConditionBuilder, inOperandsMax } from './condition-builder.js'
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
export { type Path, type PathList, readPath } from './paths.js'
export { type Projection, parseProjection, project, projectionOfPaths, updatedAttributes } from './projection.js'
export { expressionBytesMax, expressionError, expressionNestingMax, expressionOperatorsMax } from './reader.js'
export {
  type Action,
  appendedLists,
  parseUpdate,
  type SetValue,
  sumOf,
  type Update,
  updateOf,
  updateReadPaths,
  updateTopLevelNames,
  writtenTypes,
} from './update.js'
