import type { Awaitable } from '../types.js'
import { type Duration, durationMs } from './duration.js'
import type { Sink } from './ends.js'
import { atLeast, functionOf, invalid } from './invalid.js'
import type { HttpSinkPlan, KafkaSinkPlan, UserSinkPlan } from './sink-plan.js'

export interface HttpSinkOptions<Value, Key> {
  /** What is sent of a result, as JSON; the result itself by default, null or undefined sends nothing. */
  readonly body?: (value: Value, key: Key) => unknown
  /** `POST` by default. */
  readonly method?: 'POST' | 'PUT' | 'PATCH'
  readonly headers?: Readonly<Record<string, string>>
  /** Results in one request; 100 by default. A request of more than one is a JSON array. */
  readonly batchMax?: number
  /** `10s` by default. */
  readonly timeout?: Duration
  /** The first wait before another attempt, and the longest: `200ms` and `30s` by default. */
  readonly retry?: { readonly first?: Duration; readonly longest?: Duration }
  /** After so many failures in a row nothing is sent for a while: 5 and `30s` by default. */
  readonly breaker?: { readonly failures?: number; readonly pause?: Duration }
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
  const { body, method = 'POST', headers = {}, batchMax = 100, timeout = '10s', retry = {}, breaker = {} } = options
  if (!['POST', 'PUT', 'PATCH'].includes(method))
    throw invalid(`${where} has the method ${String(method)}.`, 'Choose POST, PUT or PATCH.')
  const plan: HttpSinkPlan = {
    kind: 'http',
    url,
    run: body === undefined ? undefined : (functionOf(body, where) as HttpSinkPlan['run']),
    method,
    headers,
    batchMax: atLeast(1, batchMax, `batchMax of ${where}`),
    timeoutMs: durationMs(timeout, `the timeout of ${where}`),
    retryMs: durationMs(retry.first ?? '200ms', `the first retry of ${where}`),
    retryMsMax: durationMs(retry.longest ?? '30s', `the longest retry of ${where}`),
    breakerFailures: atLeast(1, breaker.failures ?? 5, `failures of the breaker of ${where}`),
    breakerMs: durationMs(breaker.pause ?? '30s', `the pause of the breaker of ${where}`),
  }
  return { sink: plan }
}

export interface KafkaSinkRecord {
  readonly key?: string | Uint8Array | null
  /** Text and bytes as they are, anything else as JSON; null is a tombstone. */
  readonly value: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A Kafka topic as a sink, through the bridge and with its guarantee. */
export function kafka<Value, Key>(
  topic: string,
  record: (value: Value, key: Key) => KafkaSinkRecord | null | undefined,
  options: { readonly brokers: string | readonly string[] },
): Sink<Value, Key> {
  const where = `The Kafka sink ${topic}`
  const brokers = typeof options?.brokers === 'string' ? options.brokers.split(',') : [...(options?.brokers ?? [])]
  if (brokers.length === 0 || !brokers.every((broker) => /^.+:\d+$/.test(broker)))
    throw invalid(`${where} has no brokers.`, "Name them: { brokers: 'host:9092' }.")
  const plan: KafkaSinkPlan = { kind: 'kafka', topic, brokers, run: functionOf(record, where) as KafkaSinkPlan['run'] }
  return { sink: plan }
}

/** A result on its way to a sink of the user's own. */
export interface DeliveredRecord<Value, Key> {
  readonly value: Value
  readonly key: Key
  /** The same at each attempt, and of no other result. */
  readonly idempotencyKey: string
}

export interface UserSink<Value, Key> {
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

/** A sink of your own. At least once, with an idempotency key per record. */
export function sink<Value = unknown, Key = unknown>(own: UserSink<Value, Key>): Sink<Value, Key> {
  const where = `The sink ${String(own?.name)}`
  const plan: UserSinkPlan = {
    kind: 'user',
    name: own.name,
    open: own.open,
    write: functionOf(own.write, where, 'write function') as UserSinkPlan['write'],
    close: own.close,
  }
  return { sink: plan }
}
