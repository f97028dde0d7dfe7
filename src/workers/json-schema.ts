import { createRequire } from 'node:module'
import type { Ajv, AnySchema, ErrorObject, ValidateFunction } from 'ajv'
import { z } from 'zod'

/** Loaded with the first schema: a daemon without one starts without it. */
const require = createRequire(import.meta.url)

/** How a value is not as the schema says, a few words for each fault; empty: it is. */
export type SchemaCheck = (value: unknown) => readonly string[]

/** Faults that are told of one value. */
const faultsMax = 3

/** `Z` or an offset stands behind the time (RFC 3339). */
const fullTime = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** What `format` may name; a text of another format is not looked at, as the standard has it. */
const formats: Readonly<Record<string, z.ZodType>> = {
  date: z.iso.date(),
  'date-time': z.iso.datetime({ offset: true }),
  duration: z.iso.duration(),
  email: z.email(),
  hostname: z.hostname(),
  ipv4: z.ipv4(),
  ipv6: z.ipv6(),
  time: z.string().regex(fullTime),
  uri: z.url(),
  uuid: z.uuid(),
}

/**
 * The check of a JSON Schema of draft 2020-12, or of 07 where `$schema` says so. Throws an error whose message says what is wrong with
 * the schema: of another draft, not valid, with a reference that leads out of it.
 */
export function schemaCheck(schema: object): SchemaCheck {
  const validator = validatorFor((schema as { readonly $schema?: unknown }).$schema)
  for (const [name, type] of Object.entries(formats))
    validator.addFormat(name, (text: string) => type.safeParse(text).success)
  const validate = validator.compile(schema as AnySchema) as ValidateFunction
  if ('$async' in validate) throw new Error('$async is no keyword of JSON Schema')
  return (value) => (validate(value) ? [] : (validate.errors ?? []).slice(0, faultsMax).map(faultText))
}

/** The same for a schema that was stored before drafts were looked at: one of another draft is taken for one of 2020-12. */
export function storedSchemaCheck(schema: object): SchemaCheck {
  const { $schema, ...rest } = schema as { readonly $schema?: unknown }
  const isKnown = typeof $schema === 'string' && /\bdraft\/2020-12\b|\bdraft-07\b/.test($schema)
  return schemaCheck(isKnown ? schema : rest)
}

function validatorFor(draft: unknown): Ajv {
  // Keywords that nobody knows are annotations; what is no valid schema is refused all the same.
  // Patterns as JavaScript has them without `u`, which refuses needless escapes.
  const options = { strict: false, logger: false, unicodeRegExp: false } as const
  if (typeof draft === 'string' && draft.includes('draft-07')) {
    const { Ajv } = require('ajv') as typeof import('ajv')
    return new Ajv(options)
  }
  const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  return new Ajv2020(options)
}

function faultText({ instancePath, message, params }: ErrorObject): string {
  const name: unknown = params.additionalProperty ?? params.unevaluatedProperty
  const at = instancePath.slice(1).replaceAll('/', '.')
  return `${at || 'it'}: ${message}${typeof name === 'string' ? ` (${name})` : ''}`
}
