export { compareBinary, sortBinaries } from './binary.js'
export { checkAttributeName, checkItem, checkValue } from './check.js'
export {
  addNumbers,
  compareNumbers,
  normaliseNumber,
  numberDigitsMax,
  sortNumbers,
  subtractNumbers,
} from './decimal.js'
export { compareValues, itemsEqual, valuesEqual } from './equality.js'
export { attributeOf, setAttribute, typeOf } from './item.js'
export { checkJsonShape, checkJsonShapes } from './json-shape.js'
export { notBoolean, notList, notMap, notNumber, notStructure, notText, notValue, type Place } from './json-types.js'
export { decodeKeyValue, encodeKeyValue } from './key-codec.js'
export { checkKeyValue, keyOf, keyOfBatchItem } from './keys.js'
export { itemSize, keyValueSize, valueSize } from './size.js'
export { compareText, sortTexts } from './text.js'
export {
  type AttributeType,
  type AttributeValue,
  attributeNameBytesMax,
  EmptyKeyError,
  hashKeyBytesMax,
  type Item,
  itemBytesMax,
  type KeyAttribute,
  type KeySchema,
  type KeyType,
  nestingMax,
  rangeKeyBytesMax,
  ValidationError,
} from './types.js'
