import { ValidationError } from './types.js'

/** SerializationException's texts for JSON of the wrong type, as AWS's parser gives them. */

export function notText(found: unknown): ValidationError {
  return new ValidationError(wrongScalar('String', 'java.lang.String', found), 'serialization')
}

export function notBoolean(found: unknown): ValidationError {
  const text =
    typeof found === 'string'
      ? 'Unexpected token received from parser'
      : wrongScalar('Boolean', 'java.lang.Boolean', found)
  return new ValidationError(text, 'serialization')
}

export function notNumber(wanted: 'Integer' | 'Long', found: unknown): ValidationError {
  const text =
    typeof found === 'string'
      ? `STRING_VALUE cannot be converted to ${wanted}`
      : wrongScalar(wanted, `java.lang.${wanted}`, found)
  return new ValidationError(text, 'serialization')
}

export function notBytes(found: unknown): ValidationError {
  const text =
    typeof found === 'object'
      ? wrongScalar('ByteBuffer', 'java.nio.ByteBuffer', found)
      : 'only base-64-encoded strings are convertible to bytes'
  return new ValidationError(text, 'serialization')
}

const model = 'com.amazonaws.dynamodb.v20120810.'

/** Where a value stands: a member of a structure, or an element of a list or map, for which AWS's parser has other words. */
export type Place = 'member' | 'element'

// What AWS's parser says of a scalar in place of a list or map within another one.
const castFailed =
  'class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class ' +
  '(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of loader ' +
  "'bootstrap')"

const scalarFound = (place: Place): string => (place === 'member' ? 'Unexpected field type' : castFailed)

export function notList(found: unknown, place: Place = 'member'): ValidationError {
  const isOther = typeof found === 'object'
  const text = isOther ? 'Start of structure or map found where not expected' : scalarFound(place)
  return new ValidationError(text, 'serialization')
}

/** `of` is the Java type of the map's values. */
export function notMap(found: unknown, place: Place = 'member', of = `${model}AttributeValue`): ValidationError {
  const text = Array.isArray(found)
    ? `Unrecognized collection type java.util.Map<java.lang.String, ${of}>`
    : scalarFound(place)
  return new ValidationError(text, 'serialization')
}

export function notValue(found: unknown, place: Place = 'element'): ValidationError {
  return notStructure('AttributeValue', found, place)
}

export function notStructure(name: string, found: unknown, place: Place = 'element'): ValidationError {
  const scalar = place === 'member' ? 'Unexpected field type' : 'Unexpected value type in payload'
  const text = Array.isArray(found) ? `Unrecognized collection type class ${model}${name}` : scalar
  return new ValidationError(text, 'serialization')
}

function wrongScalar(wanted: string, javaClass: string, found: unknown): string {
  if (Array.isArray(found)) return `Unrecognized collection type class ${javaClass}`
  if (typeof found === 'object') return 'Start of structure or map found where not expected'
  if (typeof found === 'boolean') return `${found ? 'TRUE' : 'FALSE'}_VALUE cannot be converted to ${wanted}`
  return `${Number.isInteger(found) ? 'NUMBER' : 'DECIMAL'}_VALUE cannot be converted to ${wanted}`
}

/** A JSON boolean, or one of the strings that AWS's parser takes for one. */
export function readBoolean(found: unknown): boolean {
  if (typeof found === 'boolean') return found
  if (found === 'true' || found === 'yes' || found === '1') return true
  if (found === 'false' || found === 'no' || found === '0') return false
  throw notBoolean(found)
}
