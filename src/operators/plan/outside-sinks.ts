import type { Awaitable } from '../types.js'
import { type Duration, durationMs } from './duration.js'
import type { Sink } from './ends.js'
import { atLeast, functionOf, invalid } from './invalid.js'
import { checkMembers, type Members } from './members.js'
import type { DeliveryPlan, HttpBodyFormat, HttpSinkPlan, UserSinkPlan } from './sink-plan.js'

/** How results leave the outbox of a sink. */
export interface DeliveryOptions {
  /** Results in one delivery; 100 by default. */
  readonly batchMax?: number
  /** Bytes of results in one delivery, a larger one goes alone; 1 MiB by default. */
  readonly batchBytesMax?: number
  /** How long a delivery that is not full waits for more results; 0 by default. */
  readonly linger?: Duration
  /** `10s` by default. */
  readonly timeout?: Duration
  /** The first wait before another attempt, and the longest: `200ms` and `30s` by default. */
  readonly retry?: { readonly first?: Duration; readonly longest?: Duration }
  /** After so many failures in a row nothing is sent for a while: 5 and `30s` by default. */
  readonly breaker?: { readonly failures?: number; readonly pause?: Duration }
}

export interface HttpSinkOptions<Value, Key> extends DeliveryOptions {
  /** What is sent of a result, as JSON; the result itself by default, null or undefined sends nothing. */
  readonly body?: (value: Value, key: Key) => unknown
  /** `POST` by default. */
  readonly method?: 'POST' | 'PUT' | 'PATCH'
  readonly headers?: Readonly<Record<string, string>>
  /** `json` by default: an array of the results, or the one result where `batchMax` is 1. `ndjson`: a line for each. */
  readonly format?: HttpBodyFormat
}

/** Results of one delivery at most: all of them are in memory at once. */
const batchRecordsMax = 10_000
const batchBytesMost = 64 * 1024 * 1024

export const deliveryMembers: Members<DeliveryOptions> = {
  batchMax: true,
  batchBytesMax: true,
  linger: true,
  timeout: true,
  retry: true,
  breaker: true,
}

export function deliveryOf(options: DeliveryOptions, where: string): DeliveryPlan {
  const { batchMax = 100, batchBytesMax = 1024 * 1024, linger = 0, timeout = '10s', retry = {}, breaker = {} } = options
  checkMembers<typeof retry>(retry, { first: true, longest: true }, `retry of ${where}`)
  checkMembers<typeof breaker>(breaker, { failures: true, pause: true }, `breaker of ${where}`)
  return {
    batchMax: within(1, batchRecordsMax, batchMax, `batchMax of ${where}`),
    batchBytesMax: within(1, batchBytesMost, batchBytesMax, `batchBytesMax of ${where}`),
    lingerMs: durationMs(linger, `linger of ${where}`, 0),
    timeoutMs: durationMs(timeout, `the timeout of ${where}`),
    retryMs: durationMs(retry.first ?? '200ms', `the first retry of ${where}`),
    retryMsMax: durationMs(retry.longest ?? '30s', `the longest retry of ${where}`),
    breakerFailures: atLeast(1, breaker.failures ?? 5, `failures of the breaker of ${where}`),
    breakerMs: durationMs(breaker.pause ?? '30s', `the pause of the breaker of ${where}`),
  }
}

function within(least: number, most: number, given: unknown, what: string): number {
  const value = atLeast(least, given, what)
  if (value <= most) return value
  throw invalid(`${value} is too much as ${what}.`, `Give at most ${most}.`)
}

const httpMembers: Members<HttpSinkOptions<never, never>> = {
  ...deliveryMembers,
  body: true,
  method: true,
  headers: true,
  format: true,
}

/** Headers that the sink itself sets. */
const ownHeaders = new Set(['content-type', 'content-length', 'host', 'idempotency-key', 'transfer-encoding'])

function headersOf(given: unknown, where: string): Readonly<Record<string, string>> {
  try {
    for (const [name, value] of new Headers(given as Record<string, string>)) {
      if (ownHeaders.has(name)) throw new TypeError(`the sink sets ${name} itself`)
      if (/[^\t\x20-\x7e]/.test(value)) throw new TypeError(`${name} has characters that a header cannot hold`)
    }
    return { ...(given as Record<string, string>) }
  } catch (error) {
    throw invalid(`${where} has headers that cannot be sent: ${(error as Error).message}.`, 'Give names and texts.')
  }
}

/**
 * An HTTP server as a sink. At least once: each request carries an `Idempotency-Key`, the same for each attempt, so a
 * server that heeds it sees each result once.
 */
export function http<Value = unknown, Key = unknown>(
  url: string,
  options: HttpSinkOptions<Value, Key> = {},
): Sink<Value, Key> {
  const where = `The HTTP sink ${url}`
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw invalid(
      `${JSON.stringify(url)} is no URL for an HTTP sink.`,
      'Give one that begins with http:// or https://.',
    )
  const { username, password } = new URL(url)
  if (username !== '' || password !== '')
    throw invalid(`The URL of an HTTP sink holds a name or a password.`, 'Give it as the header authorization.')
  checkMembers<HttpSinkOptions<Value, Key>>(options, httpMembers, where)
  const { body, method = 'POST', headers = {}, format = 'json' } = options
  if (!['POST', 'PUT', 'PATCH'].includes(method))
    throw invalid(`${where} has the method ${String(method)}.`, 'Choose POST, PUT or PATCH.')
  if (format !== 'json' && format !== 'ndjson')
    throw invalid(`${where} has the format ${JSON.stringify(format)}.`, "Choose 'json' or 'ndjson'.")
  const plan: HttpSinkPlan = {
    kind: 'http',
    url,
    run: body === undefined ? undefined : (functionOf(body, where) as HttpSinkPlan['run']),
    method,
    headers: headersOf(headers, where),
    format,
    delivery: deliveryOf(options, where),
  }
  return { sink: plan }
}

/** A result on its way to a sink of the user's own. */
export interface DeliveredRecord<Value, Key> {
  readonly value: Value
  readonly key: Key
  /** The same at each attempt, and of no other result. */
  readonly idempotencyKey: string
}

export interface UserSink<Value, Key> extends DeliveryOptions {
  /** Names the sink in metrics and errors, and keeps its place across deploys. */
  readonly name: string
  readonly open?: () => Awaitable<unknown>
  /** Takes results, in order per key. What it throws is tried again with the same records. */
  readonly write: (
    records: readonly DeliveredRecord<Value, Key>[],
    context: { readonly attempt: number; readonly signal: AbortSignal },
  ) => Awaitable<unknown>
  readonly close?: () => Awaitable<unknown>
}

const sinkMembers: Members<UserSink<never, never>> = {
  ...deliveryMembers,
  name: true,
  open: true,
  write: true,
  close: true,
}

/** A sink of your own. At least once, with an idempotency key per record. */
export function sink<Value = unknown, Key = unknown>(own: UserSink<Value, Key>): Sink<Value, Key> {
  const where = `The sink ${String(own?.name)}`
  if (typeof own?.name !== 'string' || own.name === '')
    throw invalid('A sink of your own has no name.', "Name it: sink({ name: 'billing', write(records) { ... } }).")
  checkMembers<UserSink<Value, Key>>(own, sinkMembers, where)
  for (const optional of ['open', 'close'] as const)
    if (own[optional] !== undefined) functionOf(own[optional], where, `${optional} function`)
  const plan: UserSinkPlan = {
    kind: 'user',
    name: own.name,
    open: own.open,
    write: functionOf(own.write, where, 'write function') as UserSinkPlan['write'],
    close: own.close,
    delivery: deliveryOf(own, where),
  }
  return { sink: plan }
}
