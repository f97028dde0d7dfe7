export { globalIndexes, type Index, isFilling, localIndexes } from './definition.js'
export { describeIndexes, type IndexChange, keyAttributesOfTable } from './describe.js'
export { deriveEntry, indexEffects } from './effects.js'
export { readIndexes } from './index-request.js'
export { indexesOfTable } from './index-rules.js'
export { checkIndexedItem } from './item-check.js'
export { ItemCollections, showCollectionMetrics } from './item-collections.js'
export { projectedNames } from './projection.js'
export { mustFetch, refuseUnprojected, type Select } from './selection.js'
export {
  conditionsOf,
  indexConditionsMax,
  isAt,
  itemRowOf,
  partitionOf,
  positionIn,
  positionOf,
  StartKey,
  segmentOf,
  type Target,
  targetOf,
} from './target.js'
export { indexWriteUnits } from './units.js'
export { checkIndexKeysOfUpdate, notScalar } from './update-check.js'
export { type IndexUpdates, readIndexUpdates } from './update-request.js'
export { type UpdatedIndexes, updateIndexes } from './update-rules.js'
