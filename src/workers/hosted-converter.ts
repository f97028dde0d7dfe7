import { isUtf8 } from 'node:buffer'
import type { BridgeConverter, BridgeMessage, Converted } from '../operators/index.js'
import { MillraceError } from '../runtime/errors.js'
import { rowPackr } from './packing.js'
import { type WireError, wireError } from './protocol.js'

/** A message on its way through a converter. */
export interface MessageToConvert {
  readonly key: Uint8Array
  /** null is a tombstone. */
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  readonly op: BridgeMessage['op']
  readonly sequence: number
  readonly shard: number
  readonly time: number
}

/** Why a message could not be converted: what was thrown, or how its value is not as the schema says. */
export interface FailedMessage {
  readonly failure: Pick<WireError, 'message' | 'code'>
}

type MadeMessage = Pick<MessageToConvert, 'key' | 'value' | 'headers'>

/** What became of it; null: it is left out. */
export type ConvertedMessage = MadeMessage | FailedMessage | null

export interface HostedConverterOptions {
  readonly number: number
  /** The bridge's name. */
  readonly label: string
  /** The bundled module; undefined: messages are only checked. */
  readonly file: string | undefined
  /** JSON Schema of the values, as JSON. */
  readonly schema: string | undefined
  /** The member of the value that the schema is for; undefined: all of it. */
  readonly member: string | undefined
}

/** What a converter needs of its thread. */
export interface ConverterThread {
  readonly load: (file: string) => Promise<unknown>
  /** Code of the converter runs from now on. */
  readonly enter: (converter: HostedConverter) => void
  readonly mark: (converter: HostedConverter, sequence: number) => void
  readonly leave: (converter: HostedConverter) => void
}

/** Behind so many bytes a converter stops for now, whatever is left to convert: what it made is in memory, twice on its way to the bridge. */
export const convertedBytesMax = 4 * 1024 * 1024

/** How long a module may wait at its top level. */
const loadMsMax = 30_000

type Check = (value: Uint8Array) => void

interface Opened {
  readonly functions: BridgeConverter
  readonly check: Check | undefined
}

/** The last step of a bridge's messages, in a worker: functions of the user's, and the check of their schema. */
export class HostedConverter {
  readonly options: HostedConverterOptions
  readonly #thread: ConverterThread
  #opened: Promise<Opened> | undefined

  constructor(options: HostedConverterOptions, thread: ConverterThread) {
    this.options = options
    this.#thread = thread
  }

  /**
   * @param packed MessageToConvert[]; resolves with ConvertedMessage[], of the first of them where they become more than
   * `convertedBytesMax`. Rejects with why the module cannot be loaded.
   */
  async convert(packed: Uint8Array): Promise<Uint8Array> {
    this.#opened ??= this.#open()
    const { functions, check } = await this.#opened
    const messages = rowPackr.unpack(packed) as readonly MessageToConvert[]
    const converted: ConvertedMessage[] = []
    let bytes = 0
    // The tombstone behind a delete is for the same key, also where the key is made of what the delete says.
    let before: { readonly sequence: number; readonly made: ConvertedMessage } | undefined
    this.#thread.enter(this)
    try {
      for (const message of messages) {
        const { sequence } = message
        const isTombstone = before?.sequence === sequence
        if (bytes >= convertedBytesMax && !isTombstone) break
        this.#thread.mark(this, sequence)
        const made = before && isTombstone ? tombstoneOf(before.made) : attempt(functions, check, message)
        converted.push(made)
        bytes += bytesIn(made)
        before = { sequence, made }
      }
    } finally {
      this.#thread.leave(this)
    }
    // A copy of its own: it is handed over with its memory.
    return new Uint8Array(rowPackr.pack(converted))
  }

  async #open(): Promise<Opened> {
    const { file, schema, member } = this.options
    const functions = file === undefined ? {} : await this.#load(file)
    const check = schema === undefined ? undefined : await checkOf(JSON.parse(schema) as object, member)
    return { functions, check }
  }

  async #load(file: string): Promise<BridgeConverter> {
    this.#thread.enter(this)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const why = `The module waits for something at its top level for more than ${loadMsMax / 1000} s.`
      timer = setTimeout(() => reject(new MillraceError('MODULE_INVALID', why)), loadMsMax)
    })
    try {
      return converterOf(await Promise.race([this.#thread.load(file), late]))
    } finally {
      clearTimeout(timer)
      this.#thread.leave(this)
    }
  }
}

/** What a module exports as a converter, by name or in its default. Throws MODULE_INVALID. */
export function converterOf(module: unknown): BridgeConverter {
  const { default: whole, ...named } = module as { readonly default?: object }
  const found = { ...(typeof whole === 'object' ? whole : {}), ...named } as Record<string, unknown>
  const names = ['key', 'value', 'headers'].filter((name) => found[name] !== undefined)
  const wrong = names.find((name) => typeof found[name] !== 'function')
  if (names.length === 0 || wrong !== undefined)
    throw new MillraceError(
      'MODULE_INVALID',
      wrong === undefined
        ? 'The converter exports none of the functions key, value and headers.'
        : `The converter's ${wrong} is no function.`,
      { remedy: 'Export functions named key, value or headers; docs/kafka.md has an example.' },
    )
  return found as BridgeConverter
}

function bytesIn(made: ConvertedMessage): number {
  if (made === null || 'failure' in made) return 0
  let bytes = made.key.length + (made.value?.length ?? 0)
  for (const name in made.headers) bytes += name.length + (made.headers[name] as string).length
  return bytes
}

const tombstoneOf = (made: ConvertedMessage): ConvertedMessage =>
  made === null || 'failure' in made ? made : { ...made, value: null }

function attempt(functions: BridgeConverter, check: Check | undefined, message: MessageToConvert): ConvertedMessage {
  try {
    const made = apply(functions, message)
    if (made?.value) check?.(made.value)
    return made
  } catch (error) {
    const { message: why, code } = wireError(error)
    return { failure: { message: why, ...(code === undefined ? {} : { code }) } }
  }
}

function apply(functions: BridgeConverter, message: MessageToConvert): MadeMessage | null {
  const { key, value, headers, op, sequence, shard, time } = message
  const shown = { key: textOf(key), value: jsonOf(value), op, headers, sequence, shard, time }
  const made = value === null ? null : functions.value ? functions.value(shown) : value
  if (made === undefined) return null
  return {
    key: functions.key ? bytesOf(functions.key(shown), 'key') : key,
    value: made === null ? null : bytesOf(made, 'value'),
    headers: functions.headers ? headersOf(functions.headers(shown)) : {},
  }
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')

function jsonOf(value: Uint8Array | null): unknown {
  if (value === null) return null
  try {
    return isUtf8(value) ? (JSON.parse(textOf(value)) as unknown) : value
  } catch {
    return value
  }
}

function bytesOf(made: Converted, what: string): Uint8Array {
  if (typeof made === 'string') return Buffer.from(made)
  if (made instanceof Uint8Array) return made
  if (made instanceof Promise) throw isPromise(`The ${what} is`)
  const text = made === undefined || made === null ? undefined : (JSON.stringify(made) as string | undefined)
  if (text === undefined) throw new TypeError(`The ${what} is ${String(made)}.`)
  return Buffer.from(text)
}

const isPromise = (what: string): TypeError => new TypeError(`${what} a promise; a converter gives its result at once.`)

function headersOf(made: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (made instanceof Promise) throw isPromise('The headers are')
  if (typeof made !== 'object' || made === null || Array.isArray(made))
    throw new TypeError('The headers are no object of texts.')
  for (const [name, value] of Object.entries(made))
    if (typeof value !== 'string') throw new TypeError(`The header ${name} is no text.`)
  return made
}

/** Throws SCHEMA_MISMATCH with the place in the value. */
async function checkOf(schema: object, member: string | undefined): Promise<Check> {
  const { storedSchemaCheck } = await import('./json-schema.js')
  const faultsOf = storedSchemaCheck(schema)
  return (bytes) => {
    const value = jsonOf(bytes)
    const faults =
      value instanceof Uint8Array
        ? ['it is no JSON']
        : faultsOf(member === undefined ? value : (value as Record<string, unknown> | null)?.[member])
    if (faults.length === 0) return
    throw new MillraceError('SCHEMA_MISMATCH', `The value is not as its schema says. ${faults.join('; ')}.`)
  }
}
