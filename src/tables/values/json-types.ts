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

export function notList(found: unknown): ValidationError {
  const text =
    typeof found === 'object' ? 'Start of structure or map found where not expected' : 'Unexpected field type'
  return new ValidationError(text, 'serialization')
}

export function notMap(found: unknown): ValidationError {
  const text = Array.isArray(found)
    ? 'Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>'
    : 'Unexpected field type'
  return new ValidationError(text, 'serialization')
}

export function notValue(found: unknown): ValidationError {
  const text = Array.isArray(found)
    ? 'Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue'
    : 'Unexpected value type in payload'
  return new ValidationError(text, 'serialization')
}

export function notStructure(name: string, found: unknown): ValidationError {
  const text = Array.isArray(found)
    ? `Unrecognized collection type class com.amazonaws.dynamodb.v20120810.${name}`
    : 'Unexpected value type in payload'
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
