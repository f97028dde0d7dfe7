import { type Duration, durationMs, durationText } from './duration.js'
import type { Sink } from './ends.js'
import { functionOf, invalid } from './invalid.js'
import { checkMembers, type Members } from './members.js'
import { type DeliveryOptions, deliveryMembers, deliveryOf } from './outside-sinks.js'
import type { DeliveryPlan, OpenSearchSinkPlan, SearchServerAuth, SearchServerTls } from './sink-plan.js'

export interface OpenSearchSinkRecord {
  /** Names the document in its index: at most 512 bytes. Results of one id must be results of one key, to be in order. */
  readonly id: string | number | bigint
  /** What the index holds from now on; null deletes it. */
  readonly document: object | null
  /** Which shard of the index it is in, in place of what its id says: always the same for an id. */
  readonly routing?: string
}

/** What an index is made with when the first document comes. */
export interface OpenSearchIndexTemplate {
  /** Such as `{ number_of_replicas: 1, refresh_interval: '1s' }`. */
  readonly settings?: object
  /** Such as `{ properties: { title: { type: 'text' } } }`. */
  readonly mappings?: object
  readonly aliases?: object
  /** Which template counts where several fit; 200 by default. */
  readonly priority?: number
}

export interface OpenSearchSinkOptions extends DeliveryOptions {
  /** One node, or several of one cluster: the next one is asked when one fails. */
  readonly url: string | readonly string[]
  readonly auth?: SearchServerAuth
  readonly tls?: SearchServerTls
  /** Put as `millrace-INDEX` before the first write; false: the index, or a template of your own, is there. */
  readonly template?: OpenSearchIndexTemplate | false
  /** How long the server remembers what was deleted (`index.gc_deletes`); `5m`, or more where the waits of a delivery are longer. */
  readonly gcDeletes?: Duration
}

/** What servers take as the name of an index, for indexes and aliases alike. */
const indexRule = /^(?![-_+.])[^\s"*\\<|,>/?#:A-Z]{1,255}$/
const gcDeletesMsDefault = 5 * 60 * 1000
/** Documents of one delivery, bytes of them, and how long the first one waits for others: a bulk request is dear by itself. */
const batchMax = 1000
const batchBytesMax = 5 * 1024 * 1024
const linger = '50ms'
/** A server waits for its shards for as long. */
const timeout = '30s'
const priorityDefault = 200
const templateBytesMax = 256 * 1024

/**
 * An index of OpenSearch or Elasticsearch as a sink, by the bulk API. At least once, and no older version over a newer one: a
 * document's version is the number of its result in the daemon, which grows for ever, and the server keeps the highest.
 */
export function openSearch<Value = unknown, Key = unknown>(
  index: string,
  record: (value: Value, key: Key) => OpenSearchSinkRecord | null | undefined,
  options: OpenSearchSinkOptions,
): Sink<Value, Key> {
  const where = `The OpenSearch sink ${String(index)}`
  if (typeof index !== 'string' || !indexRule.test(index))
    throw invalid(`${where} has no index.`, 'Name it in small letters, without spaces and any of "*\\<|,>/?#:.')
  const given = optionsOf(options, where)
  const delivery = deliveryOf({ batchMax, batchBytesMax, linger, timeout, ...given }, where)
  const gcDeletesMsMin = longestAttemptMs(delivery)
  const gcDeletesMs = gcDeletesOf(given.gcDeletes, gcDeletesMsMin, where)
  const plan: OpenSearchSinkPlan = {
    kind: 'openSearch',
    index,
    urls: urlsOf(given.url, where),
    auth: authOf(given.auth, where),
    tls: tlsOf(given.tls, where),
    template: given.template === false ? undefined : templateOf(index, given.template, gcDeletesMs, where),
    gcDeletesMs,
    gcDeletesMsMin,
    run: functionOf(record, where) as OpenSearchSinkPlan['run'],
    delivery,
  }
  return { sink: plan }
}

const optionMembers: Members<OpenSearchSinkOptions> = {
  ...deliveryMembers,
  url: true,
  auth: true,
  tls: true,
  template: true,
  gcDeletes: true,
}
const tlsMembers: Members<SearchServerTls> = { caFile: true, certFile: true, keyFile: true, serverName: true }
const templateMembers: Members<OpenSearchIndexTemplate> = {
  settings: true,
  mappings: true,
  aliases: true,
  priority: true,
}

function optionsOf(options: unknown, where: string): OpenSearchSinkOptions {
  if (typeof options !== 'object' || options === null)
    throw invalid(`${where} has no options.`, "Give it at least { url: 'https://host:9200' }.")
  checkMembers(options, optionMembers, where)
  return options as OpenSearchSinkOptions
}

/**
 * How long, ms, something of an attempt may be under way when another one has begun: a request that was cut by its timeout may
 * be with the server for as long again, and the next attempt may come after the longest wait.
 */
const longestAttemptMs = ({ timeoutMs, retryMsMax }: DeliveryPlan): number => 2 * timeoutMs + retryMsMax

function gcDeletesOf(given: Duration | undefined, least: number, where: string): number {
  if (given === undefined) return Math.max(gcDeletesMsDefault, least)
  const ms = durationMs(given, `gcDeletes of ${where}`)
  if (ms >= least) return ms
  throw invalid(
    `gcDeletes of ${where} is ${durationText(ms)}, less than the ${durationText(least)} that an attempt of it may last.`,
    `Give at least ${durationText(least)}, or a shorter timeout and retry.longest.`,
  )
}

function urlsOf(given: unknown, where: string): readonly string[] {
  const urls: unknown[] = Array.isArray(given) ? given : [given]
  if (urls.length === 0 || !urls.every((url) => typeof url === 'string' && URL.canParse(url) && /^https?:/.test(url)))
    throw invalid(`${where} has no URL.`, "Give url: 'https://host:9200', or a list of them.")
  for (const url of urls as string[]) {
    const { username, password, search, hash } = new URL(url)
    if (username !== '' || password !== '')
      throw invalid(`The URL of ${where} holds a name or a password.`, 'Give them as auth: { username, passwordFile }.')
    if (search !== '' || hash !== '')
      throw invalid(`The URL of ${where} has a query.`, 'Give host, port and path alone.')
  }
  return (urls as string[]).map((url) => url.replace(/\/+$/, ''))
}

/** Names of options in the order of the alphabet. */
const authForms = [['passwordFile', 'username'], ['passwordVariable', 'username'], ['apiKeyFile'], ['apiKeyVariable']]

function authOf(auth: unknown, where: string): SearchServerAuth | undefined {
  if (auth === undefined) return undefined
  const names = Object.keys(auth as object).sort()
  const isForm = authForms.some((form) => form.join() === names.join())
  if (typeof auth !== 'object' || !isForm || !Object.values(auth as object).every(isText))
    throw invalid(
      `${where} has an auth that is none.`,
      'Give { username, passwordFile }, { username, passwordVariable }, { apiKeyFile } or { apiKeyVariable }: secrets are read from a file or the environment of the daemon.',
    )
  return { ...auth } as SearchServerAuth
}

function tlsOf(tls: unknown, where: string): SearchServerTls | undefined {
  if (tls === undefined) return undefined
  if (isObject(tls)) checkMembers(tls as object, tlsMembers, `tls of ${where}`)
  if (typeof tls !== 'object' || tls === null || !Object.values(tls).every(isText))
    throw invalid(`${where} has a tls that is none.`, "Give names of files: { caFile: '/etc/millrace/ca.pem' }.")
  const { certFile, keyFile } = tls as SearchServerTls
  if ((certFile === undefined) !== (keyFile === undefined))
    throw invalid(`tls of ${where} has only one of certFile and keyFile.`, 'Give both.')
  return { ...tls }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

function templateOf(
  index: string,
  given: OpenSearchIndexTemplate | undefined,
  gcDeletesMs: number,
  where: string,
): OpenSearchSinkPlan['template'] {
  if (given !== undefined && !isObject(given))
    throw invalid(
      `${where} has a template that is none.`,
      'Give { settings?, mappings?, aliases?, priority? } or false.',
    )
  checkMembers(given, templateMembers, `The template of ${where}`)
  const { settings = {}, mappings, aliases, priority = priorityDefault } = given ?? {}
  for (const [name, part] of Object.entries({ settings, mappings, aliases }))
    if (part !== undefined && !isObject(part))
      throw invalid(`The template of ${where} has ${name} that are no object.`, 'Give them as the server takes them.')
  if (!Number.isSafeInteger(priority) || priority < 0)
    throw invalid(`The template of ${where} has the priority ${String(priority)}.`, 'Give a whole number from 0 on.')
  if (hasGcDeletes(settings))
    throw invalid(`The template of ${where} sets gc_deletes.`, "Give it as the option: { gcDeletes: '10m' }.")
  const whole = { 'index.gc_deletes': `${gcDeletesMs}ms`, ...settings }
  const template = { settings: whole, ...(mappings ? { mappings } : {}), ...(aliases ? { aliases } : {}) }
  const text = JSON.stringify({ index_patterns: [index], priority, template })
  if (text.length > templateBytesMax)
    throw invalid(`The template of ${where} is larger than ${templateBytesMax} characters.`, 'Put it yourself: false.')
  return JSON.parse(text) as Record<string, unknown>
}

function hasGcDeletes(settings: object): boolean {
  const { index } = settings as { index?: object }
  return (
    'gc_deletes' in settings || 'index.gc_deletes' in settings || (isObject(index) && 'gc_deletes' in (index ?? {}))
  )
}
