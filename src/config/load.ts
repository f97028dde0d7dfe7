import { existsSync, readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { MillraceError } from '../runtime/index.js'
import { type Leaf, leaves, nearest } from './leaves.js'
import { type Config, configSchema } from './schema.js'

/** Where a value in force comes from. */
export type Source = 'default' | 'file' | 'environment' | 'flag'

export interface LoadedConfig {
  readonly config: Config
  /** By the path of the setting. */
  readonly sources: ReadonlyMap<string, Source>
  readonly file: string | undefined
}

export interface LoadOptions {
  /** The file that --config names: it must exist. */
  readonly file?: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Settings of flags, by path. */
  readonly flags?: Readonly<Record<string, unknown>>
}

/** Taken when no file is named and it exists. */
export const defaultConfigFile = 'millrace.yaml'

/** File, then environment, then flags. Throws CONFIG_INVALID with every fault in `details.faults`. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = options.file ?? (existsSync(defaultConfigFile) ? defaultConfigFile : undefined)
  const sources = new Map<string, Source>(leaves.map((leaf) => [leaf.path, 'default']))
  const faults: string[] = []
  const values: Record<string, unknown> = {}
  if (file) takeFile(file, values, sources, faults)
  takeEnvironment(options.environment, values, sources, faults)
  for (const [path, value] of Object.entries(options.flags ?? {})) {
    if (value === undefined) continue
    place(values, path, value)
    sources.set(path, 'flag')
  }
  const checked = configSchema.safeParse(values)
  if (!checked.success) {
    for (const issue of checked.error.issues) {
      // Unknown keys were reported with their neighbours when they were read.
      if (issue.code !== 'unrecognized_keys') faults.push(`${issue.path.join('.')}: ${issue.message}`)
    }
  }
  if (checked.success) faults.push(...checkTogether(checked.data))
  if (!checked.success || faults.length > 0) {
    throw new MillraceError('CONFIG_INVALID', `The configuration is not valid. ${faults.join('; ')}.`, {
      details: { faults, file },
    })
  }
  return { config: checked.data, sources, file }
}

function checkTogether(config: Config): string[] {
  const faults: string[] = []
  const { host, insecure } = config.listen
  if (!isLoopback(host) && !insecure) {
    faults.push(
      `listen.host: ${host} can be reached from outside and nobody is authenticated; listen.insecure: true says that this is meant`,
    )
  }
  if (config.pipelines.barrierTimeoutMs <= config.pipelines.stepTimeoutMs)
    faults.push('pipelines.barrierTimeoutMs: must be above pipelines.stepTimeoutMs')
  if (config.commit.commitBytesMax < config.commit.effectSetBytesMax)
    faults.push('commit.commitBytesMax: must not be below commit.effectSetBytesMax')
  return faults
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

function takeFile(file: string, values: Record<string, unknown>, sources: Map<string, Source>, faults: string[]): void {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new MillraceError(
      'CONFIG_INVALID',
      `The configuration file ${file} cannot be read: ${(error as Error).message}.`,
      { cause: error },
    )
  }
  const document = parseDocument(text)
  for (const error of document.errors) faults.push(`${file}: ${error.message.split('\n')[0]}`)
  if (document.errors.length > 0) return
  const content: unknown = document.toJS()
  if (content === null) return
  if (typeof content !== 'object' || Array.isArray(content)) {
    faults.push(`${file}: holds no settings`)
    return
  }
  takeObject(content as Record<string, unknown>, '', values, sources, faults)
}

function takeObject(
  content: Record<string, unknown>,
  prefix: string,
  values: Record<string, unknown>,
  sources: Map<string, Source>,
  faults: string[],
): void {
  for (const [name, value] of Object.entries(content)) {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (leaves.some((leaf) => leaf.path === path)) {
      if (value === null) continue
      place(values, path, value)
      sources.set(path, 'file')
    } else if (leaves.some((leaf) => leaf.path.startsWith(`${path}.`))) {
      if (value === null) continue
      if (typeof value !== 'object' || Array.isArray(value)) faults.push(`${path}: holds settings, not a value`)
      else takeObject(value as Record<string, unknown>, path, values, sources, faults)
    } else faults.push(unknownName(path, knownBeside(prefix), (near) => (prefix === '' ? near : `${prefix}.${near}`)))
  }
}

/** The names that stand in one section. */
function knownBeside(prefix: string): string[] {
  const start = prefix === '' ? '' : `${prefix}.`
  const names = leaves
    .filter((leaf) => leaf.path.startsWith(start))
    .map((leaf) => leaf.path.slice(start.length).split('.')[0] as string)
  return [...new Set(names)]
}

function unknownName(path: string, known: readonly string[], spell: (near: string) => string = (near) => near): string {
  const near =
    nearest(path.split('.').pop() as string, known) ??
    nearest(
      path,
      leaves.map((leaf) => leaf.path),
    )
  return `${path}: unknown${near ? `; is ${known.includes(near) ? spell(near) : near} meant?` : ''}`
}

function takeEnvironment(
  environment: LoadOptions['environment'],
  values: Record<string, unknown>,
  sources: Map<string, Source>,
  faults: string[],
): void {
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('MILLRACE_') || text === undefined || notSettings.test(name)) continue
    const leaf = leaves.find((each) => each.variable === name)
    if (!leaf) {
      const near = nearest(
        name,
        leaves.map((each) => each.variable),
      )
      faults.push(`${name}: unknown${near ? `; is ${near} meant?` : ''}`)
      continue
    }
    place(values, leaf.path, parsed(leaf, text))
    sources.set(leaf.path, 'environment')
  }
}

/** Variables of the command, the tests and the benchmarks. */
const notSettings = /^MILLRACE_(URL|CONFIG|TEST_|BENCH_)/

function parsed(leaf: Leaf, text: string): unknown {
  if (leaf.kind === 'number') return /^-?\d+$/.test(text.trim()) ? Number(text) : text
  if (leaf.kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (leaf.kind === 'list') return text.split(',').map((part) => part.trim())
  return text
}

function place(values: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.')
  let at = values
  for (const name of names.slice(0, -1)) {
    at[name] ??= {}
    at = at[name] as Record<string, unknown>
  }
  at[names[names.length - 1] as string] = value
}

/** The value in force of a setting. */
export function valueAt(config: Config, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], config)
}
