/** The functions that are conditions. */
const conditionFunctions = new Set([
  'attribute_exists',
  'attribute_not_exists',
  'attribute_type',
  'begins_with',
  'contains',
])

/** The functions that can stand in the value of a SET. */
const updateFunctions = new Set(['if_not_exists', 'list_append'])

export function isConditionFunction(name: string): boolean {
  return conditionFunctions.has(name)
}

export function isUpdateFunction(name: string): boolean {
  return updateFunctions.has(name)
}

/** Function names are told apart by case. */
export function isFunction(name: string): boolean {
  return name === 'size' || conditionFunctions.has(name) || updateFunctions.has(name)
}
