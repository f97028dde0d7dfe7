import { z } from 'zod'
import { configSchema } from './schema.js'

/** One setting of the configuration. */
export interface Leaf {
  /** Its path with dots: `commit.freeBytesMin`. */
  readonly path: string
  /** Its environment variable: `MILLRACE_COMMIT_FREE_BYTES_MIN`. */
  readonly variable: string
  readonly kind: 'string' | 'number' | 'boolean' | 'list' | 'map'
  readonly initial: unknown
  /** In words, where the default depends on the machine. */
  readonly initialText?: string
  readonly description: string
  /** The values it may have, where they are few. */
  readonly choices?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  /** Its value is shown to nobody. */
  readonly isSecret?: boolean
  /** What each entry of a map may have, with paths like `kafka.clusters.NAME.brokers`. */
  readonly members?: readonly Leaf[]
}

/** A part of the configuration that holds settings. */
export interface Section {
  readonly name: string
  readonly description: string
}

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  /** Of a map: what each of its entries is. Of an object with known names it is false. */
  readonly additionalProperties?: JsonSchema | boolean
  /** Of a list. */
  readonly items?: JsonSchema
  default?: unknown
  readonly description?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  initialText?: string
  isSecret?: boolean
}

/** The configuration as a JSON schema for editors; the same on every machine. */
export function configJsonSchema(): object {
  const schema = jsonSchema()
  for (const { at } of walk(schema, '', true)) {
    delete at.isSecret
    if (at.initialText === undefined) continue
    delete at.default
    delete at.initialText
  }
  return { ...schema, title: 'Configuration of Millrace' }
}

const jsonSchema = (): JsonSchema => z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema

/** Every setting, in the order of the schema. */
export const leaves: readonly Leaf[] = [...walk(jsonSchema(), '')].map(({ path, at }) => leafOf(path, at))

/** The names that may stand at a place, also within entries of maps and lists. */
export function namesAt(path: readonly string[]): readonly string[] {
  let at: JsonSchema | undefined = jsonSchema()
  for (const name of path) at = at && (at.properties?.[name] ?? entryOf(at) ?? at.items)
  return Object.keys(at?.properties ?? {})
}

/** The parts with a name of their own, in the order of the schema. */
export const sections: readonly Section[] = Object.entries(jsonSchema().properties ?? {})
  .filter(([, at]) => at.properties)
  .map(([name, at]) => ({ name, description: at.description ?? '' }))

/** @param isDeep also what entries of maps may have */
function* walk(schema: JsonSchema, prefix: string, isDeep = false): Generator<{ path: string; at: JsonSchema }> {
  for (const [name, at] of Object.entries(schema.properties ?? {})) {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (at.properties) yield* walk(at, path, isDeep)
    else yield { path, at }
    const entry = entryOf(at)
    if (entry && isDeep) yield* walk(entry, `${path}.NAME`, isDeep)
  }
}

function entryOf(at: JsonSchema): JsonSchema | undefined {
  return typeof at.additionalProperties === 'object' ? at.additionalProperties : undefined
}

function leafOf(path: string, at: JsonSchema): Leaf {
  const entry = entryOf(at)
  return {
    path,
    variable: variableOf(path),
    kind: kindOf(at.type),
    initial: at.default,
    description: at.description ?? '',
    ...(at.initialText === undefined ? {} : { initialText: at.initialText }),
    ...(at.enum === undefined ? {} : { choices: at.enum }),
    ...(at.minimum === undefined ? {} : { minimum: at.minimum }),
    ...(at.maximum === undefined ? {} : { maximum: at.maximum }),
    ...(at.isSecret === undefined ? {} : { isSecret: at.isSecret }),
    ...(entry === undefined
      ? {}
      : { members: [...walk(entry, `${path}.NAME`)].map((each) => leafOf(each.path, each.at)) }),
  }
}

const hidden = '(set, not shown)'

/** The value of a setting as it may be shown: without what is secret. */
export function shownValue(leaf: Leaf, value: unknown): unknown {
  if (leaf.isSecret) return hidden
  if (!leaf.members || typeof value !== 'object' || value === null) return value
  const shown = structuredClone(value) as Record<string, unknown>
  for (const entry of Object.values(shown)) {
    for (const { path, isSecret } of leaf.members) {
      if (isSecret) hide(entry, path.slice(`${leaf.path}.NAME.`.length).split('.'))
    }
  }
  return shown
}

function hide(at: unknown, [name, ...rest]: readonly string[]): void {
  if (typeof at !== 'object' || at === null || name === undefined || !Object.hasOwn(at, name)) return
  const holder = at as Record<string, unknown>
  if (rest.length > 0) hide(holder[name], rest)
  else if (holder[name] !== undefined) holder[name] = hidden
}

function kindOf(type: string | undefined): Leaf['kind'] {
  switch (type) {
    case 'integer':
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'array':
      return 'list'
    case 'object':
      return 'map'
    default:
      return 'string'
  }
}

function variableOf(path: string): string {
  return `MILLRACE_${path
    .replace(/\./g, '_')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`
}
