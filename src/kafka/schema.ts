import { MillraceError } from '../runtime/index.js'
import { schemaCheck } from '../workers/index.js'

/** A JSON Schema in JSON may be so large; it is stored with its bridge. */
const schemaBytesMax = 64 * 1024

/** A JSON Schema (draft 2020-12 or 07) of the values that a bridge sends. Its `$id` goes along with each message. */
export interface ValueSchema {
  readonly $id: string
  readonly [keyword: string]: unknown
}

/** Throws BAD_REQUEST for what is no schema, has no `$id`, or says something that cannot be checked. */
export function checkSchema(schema: unknown): ValueSchema {
  const fault = (why: string) =>
    new MillraceError('BAD_REQUEST', `The schema cannot be used: ${why}.`, {
      remedy: 'Give a JSON Schema (draft 2020-12 or 07) with a $id, without references to other documents.',
    })
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw fault('it is no JSON object')
  const { $id } = schema as { readonly $id?: unknown }
  if (typeof $id !== 'string' || !URL.canParse($id)) throw fault('its $id is no URI')
  if (Buffer.byteLength(JSON.stringify(schema)) > schemaBytesMax)
    throw fault(`it has more than ${schemaBytesMax} bytes`)
  try {
    schemaCheck(schema)
  } catch (error) {
    throw fault((error as Error).message)
  }
  return schema as ValueSchema
}
