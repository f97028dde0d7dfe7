import { jsonOf } from './json-text.js'
import type { KafkaSinkRecord } from './plan/index.js'

/** Longest key and headers, bytes or characters: far below what a broker takes as one message. */
const keyBytesMax = 64 * 1024
const headersMax = 64

/** A message as it waits in the outbox of a Kafka sink: bytes are base64 there. */
interface StoredMessage {
  readonly key?: string
  readonly keyBytes?: string
  readonly value?: unknown
  readonly valueBytes?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly partition?: number
}

/** A message on its way to a topic. */
export interface KafkaEntry {
  readonly key: Uint8Array | undefined
  /** null is a tombstone. */
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  /** That of its key where none is said. */
  readonly partition: number | undefined
}

/** What a Kafka sink was given, as JSON. Throws TypeError for what no message can hold. */
export function kafkaEntry(result: unknown): string {
  if (typeof result !== 'object' || result === null || Array.isArray(result))
    throw new TypeError('A Kafka sink takes {key, value, headers?, partition?}.')
  const { key, value, headers, partition } = result as KafkaSinkRecord
  const stored = { ...keyPart(key), ...valuePart(value), ...headersPart(headers), ...partitionPart(partition) }
  return jsonOf(stored, 'A Kafka sink')
}

function keyPart(key: unknown): Pick<StoredMessage, 'key' | 'keyBytes'> {
  if (key === undefined || key === null) return {}
  if (typeof key !== 'string' && !(key instanceof Uint8Array))
    throw new TypeError('A Kafka sink takes as key text or bytes.')
  const bytes = typeof key === 'string' ? Buffer.byteLength(key) : key.length
  if (bytes > keyBytesMax) throw new TypeError(`A Kafka sink was given a key of more than ${keyBytesMax} bytes.`)
  return typeof key === 'string' ? { key } : { keyBytes: base64(key) }
}

function valuePart(value: unknown): Pick<StoredMessage, 'value' | 'valueBytes'> {
  if (value === undefined) throw new TypeError('A Kafka sink was given no value: null is a tombstone.')
  return value instanceof Uint8Array ? { valueBytes: base64(value) } : { value }
}

function headersPart(headers: unknown): Pick<StoredMessage, 'headers'> {
  if (headers === undefined) return {}
  const entries = typeof headers === 'object' && headers !== null ? Object.entries(headers) : undefined
  if (!entries || entries.length > headersMax || !entries.every(([, text]) => typeof text === 'string'))
    throw new TypeError(`A Kafka sink takes as headers an object of texts, ${headersMax} at most.`)
  return { headers: Object.fromEntries(entries as [string, string][]) }
}

function partitionPart(partition: unknown): Pick<StoredMessage, 'partition'> {
  if (partition === undefined) return {}
  if (!Number.isSafeInteger(partition) || (partition as number) < 0)
    throw new TypeError('A Kafka sink takes as partition a whole number from 0 on.')
  return { partition: partition as number }
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')

/** A message of an outbox, as it is sent. */
export function kafkaMessageOf(entry: string): KafkaEntry {
  const { key, keyBytes, value, valueBytes, headers = {}, partition } = JSON.parse(entry) as StoredMessage
  return {
    key: keyBytes === undefined ? (key === undefined ? undefined : Buffer.from(key)) : Buffer.from(keyBytes, 'base64'),
    value: valueBytes === undefined ? valueBuffer(value) : Buffer.from(valueBytes, 'base64'),
    headers,
    partition,
  }
}

function valueBuffer(value: unknown): Buffer | null {
  if (value === null || value === undefined) return null
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

/** The same as its author gave it, for tests. */
export function kafkaResultOf(entry: string): KafkaSinkRecord {
  const { keyBytes, valueBytes, ...rest } = JSON.parse(entry) as StoredMessage
  return {
    ...rest,
    ...(keyBytes === undefined ? {} : { key: new Uint8Array(Buffer.from(keyBytes, 'base64')) }),
    value: valueBytes === undefined ? rest.value : new Uint8Array(Buffer.from(valueBytes, 'base64')),
  }
}
