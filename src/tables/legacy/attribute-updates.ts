import { type Action, type SetValue, type Update, updateOf } from '../expressions/index.js'
import { type Input, object, text } from '../requests/request.js'
import { type AttributeValue, checkAttributeName, checkValue, typeOf, ValidationError } from '../values/index.js'

const invalid = 'One or more parameter values were invalid: '

/** AttributeUpdates as an update; undefined when it changes nothing. Throws ValidationError. */
export function legacyUpdate(input: Input): Update | undefined {
  const entries = Object.entries(object(input, 'AttributeUpdates') ?? {})
  if (entries.length === 0) return undefined
  for (const [attribute] of entries) checkAttributeName(attribute)
  const actions = entries.map(([attribute, update]) => actionOf(attribute, (update ?? {}) as Input))
  const paths = entries.map(([attribute]) => [attribute] as const)
  return { ...updateOf('UpdateExpression', paths, actions), isLegacy: true }
}

function actionOf(attribute: string, update: Input): Action {
  const action = text(update, 'Action') ?? 'PUT'
  const value = (update.Value ?? undefined) === undefined ? undefined : checkValue(update.Value)
  if (value === undefined) {
    if (action !== 'DELETE')
      throw new ValidationError(`${invalid}Only DELETE action is allowed when no attribute value is specified`)
    return { kind: 'REMOVE' }
  }
  const type = typeOf(value)
  const isSet = type === 'SS' || type === 'NS' || type === 'BS'
  switch (action) {
    case 'DELETE':
      if (!isSet) throw new ValidationError(`${invalid}DELETE action with value is not supported for the type ${type}`)
      return { kind: 'DELETE', value }
    case 'ADD':
      if (type === 'L') return { kind: 'SET', value: appended(attribute, value) }
      if (!isSet && type !== 'N')
        throw new ValidationError(`${invalid}ADD action is not supported for the type ${type}`)
      return { kind: 'ADD', value }
    default:
      return { kind: 'SET', value: { kind: 'value', value } }
  }
}

/** ADD of a list puts its elements behind those that are there. */
function appended(attribute: string, value: AttributeValue): SetValue {
  const first: SetValue = {
    kind: 'if_not_exists',
    path: [attribute],
    otherwise: { kind: 'value', value: { L: [] } },
  }
  return { kind: 'list_append', first, second: { kind: 'value', value } }
}
