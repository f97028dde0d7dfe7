import { z } from 'zod'
import { configSchema } from './schema.js'

/** One setting of the configuration. */
export interface Leaf {
  /** Its path with dots: `commit.freeBytesMin`. */
  readonly path: string
  /** Its environment variable: `MILLRACE_COMMIT_FREE_BYTES_MIN`. */
  readonly variable: string
  readonly kind: 'string' | 'number' | 'boolean' | 'list'
  readonly initial: unknown
  readonly description: string
  /** The values it may have, where they are few. */
  readonly choices?: readonly string[]
}

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly default?: unknown
  readonly description?: string
  readonly enum?: readonly string[]
}

/** The configuration as a JSON schema, for editors. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input' })
}

/** Every setting, in the order of the schema. */
export const leaves: readonly Leaf[] = leavesOf(configJsonSchema() as JsonSchema, '')

function leavesOf(schema: JsonSchema, prefix: string): Leaf[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (value.properties) return leavesOf(value, path)
    const kind =
      value.type === 'integer' || value.type === 'number'
        ? 'number'
        : value.type === 'boolean'
          ? 'boolean'
          : value.type === 'array'
            ? 'list'
            : 'string'
    const leaf = {
      path,
      variable: variableOf(path),
      kind,
      initial: value.default,
      description: value.description ?? '',
    } as const
    return [value.enum ? { ...leaf, choices: value.enum } : leaf]
  })
}

function variableOf(path: string): string {
  return `MILLRACE_${path
    .replace(/\./g, '_')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`
}

/** The known name that is nearest to an unknown one, when it is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const each of known) {
    const distance = editDistance(name.toLowerCase(), each.toLowerCase())
    if (distance < least) {
      least = distance
      best = each
    }
  }
  return best
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + change))
    }
    row = next
  }
  return row[b.length] as number
}
