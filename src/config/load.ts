import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { asMillraceError, MillraceError, nearest } from '../runtime/index.js'
import { credentialsOf, isAuthConfigured } from './credentials.js'
import { takeEnvironment } from './environment.js'
import { takeFile } from './file.js'
import { leaves, namesAt } from './leaves.js'
import { type Config, configSchema } from './schema.js'
import { Settings, type Source } from './settings.js'

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
export const defaultConfigFile = 'config/millrace.yaml'

/** File, then environment, then flags. Throws CONFIG_INVALID with every fault in `details.faults`. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = options.file ?? (existsSync(defaultConfigFile) ? defaultConfigFile : undefined)
  const settings = new Settings()
  if (file) takeFile(file, settings)
  takeEnvironment(options.environment, settings)
  for (const [path, value] of Object.entries(options.flags ?? {})) {
    if (value !== undefined) settings.place(path, value, 'flag')
  }
  const checked = configSchema.safeParse(settings.values)
  const faults = [...settings.faults]
  if (checked.success) faults.push(...checkTogether(checked.data))
  else for (const issue of checked.error.issues) faults.push(...faultsOf(issue, settings))
  if (!checked.success || faults.length > 0) {
    throw new MillraceError('CONFIG_INVALID', `The configuration is not valid: ${faults.join('; ')}.`, {
      details: { faults, file },
    })
  }
  placePaths(checked.data, settings.sources.get('functions') === 'file' ? file : undefined)
  const sources = new Map(leaves.map((leaf) => [leaf.path, settings.sources.get(leaf.path) ?? ('default' as const)]))
  return { config: checked.data, sources, file }
}

/** Paths in a file are relative to it, wherever the daemon is started; others to where it is. */
function placePaths(config: Config, file: string | undefined): void {
  const folder = file === undefined ? '.' : dirname(file)
  for (const each of Object.values(config.functions)) each.path = resolve(folder, each.path)
}

type Issue = z.core.$ZodIssue

function* faultsOf(issue: Issue, settings: Settings): Generator<string> {
  const path = issue.path.map(String)
  const place = placeOf(path, settings)
  // Those of sections were found in the file; these are in entries of maps and lists.
  if (issue.code === 'unrecognized_keys' && !isOwnText(issue))
    for (const name of issue.keys) {
      const near = nearest(name, namesAt(path))
      yield `${[...path, name].join('.')}: unknown${near === undefined ? '' : `; is ${near} meant?`}${place}`
    }
  else if (issue.code === 'invalid_key')
    yield `${path.join('.')}: ${issue.issues.map(({ message }) => message).join(', ')}${place}`
  else yield `${path.join('.')}: ${issue.message}${place}`
}

/** Whether the schema says in its own words what is unknown. */
const isOwnText = ({ message }: Issue): boolean => !message.startsWith('Unrecognized key')

/** Where a wrong value stands, when it is not in the file. */
function placeOf(path: readonly string[], { sources }: Settings): string {
  const at = path.join('.')
  const leaf = leaves.find((each) => at === each.path || at.startsWith(`${each.path}.`))
  if (!leaf) return ''
  switch (sources.get(leaf.path)) {
    case 'environment':
      return ` (${leaf.variable})`
    case 'flag':
      return ' (a flag)'
    default:
      return ''
  }
}

/** What one setting cannot know of another. */
function checkTogether(config: Config): string[] {
  const faults: string[] = []
  const { host, insecure } = config.listen
  if (!isLoopback(host) && !insecure && !isAuthConfigured(config.auth)) {
    faults.push(
      `listen.host: ${host} can be reached from outside and nobody is authenticated; configure auth, or say with listen.insecure: true that this is meant`,
    )
  }
  try {
    credentialsOf(config.auth)
  } catch (error) {
    faults.push(asMillraceError(error).message)
  }
  faults.push(...faultsOfReplication(config))
  if (config.pipelines.barrierTimeoutMs <= config.pipelines.stepTimeoutMs)
    faults.push('pipelines.barrierTimeoutMs: must be above pipelines.stepTimeoutMs')
  if (config.commit.commitBytesMax < config.commit.effectSetBytesMax)
    faults.push('commit.commitBytesMax: must not be below commit.effectSetBytesMax')
  if (config.http.bodiesBytesMax < config.http.bodyBytesMax)
    faults.push('http.bodiesBytesMax: must not be below http.bodyBytesMax')
  return faults
}

/** Links beyond loopback are encrypted and know both sides, unless it is said that they need not be. */
function* faultsOfReplication({ replication, regions, aws }: Config): Generator<string> {
  const { listen, insecure } = replication
  const tls = Object.values(replication.tls).some((path) => path !== '')
  if (insecure) return
  if (listen.enabled && !tls && !isLoopback(listen.host))
    yield `replication.listen.host: ${listen.host} can be reached from outside and replication.tls is not given; say with replication.insecure: true that this is meant`
  for (const [name, { url }] of Object.entries(regions)) {
    if (name === aws.region) continue
    const { protocol, hostname } = new URL(url)
    if (protocol === 'http:' && !isLoopback(hostname))
      yield `regions.${name}.url: is not https; say with replication.insecure: true that this is meant`
    if (protocol === 'https:' && !tls) yield `regions.${name}.url: is https, and replication.tls is not given`
  }
}

/** Whether a name or address reaches this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
