import { BatchBuilder, RowEncoder, type Shape } from '../log/bodies.js'
import { recordKeyBytesMax } from '../log/format.js'
import { MillraceError } from '../runtime/errors.js'
import { checkIndexedItem, type TableKeys } from '../tables/indexes/item-check.js'
import { checkItem, type Item, itemBytesMax, keyOf, ValidationError } from '../tables/values/index.js'
import { csvLine } from './csv.js'
import { jsonOf } from './json-text.js'
import { kafkaEntry } from './kafka-entry.js'
import { kept } from './kept.js'
import { openSearchEntry } from './open-search-entry.js'
import { attributesOf } from './plain.js'
import type { SinkPlan } from './plan/sink-plan.js'
import { packable } from './state-value.js'
import { encodeKey } from './task/key-codec.js'
import { packState } from './task/state-codec.js'
import type { SinkItem, SinkRecord } from './types.js'

/** How many times what one commit may hold the sinks of a task may gather between two barriers, in characters: past it less is read at once. */
const outputTextTimes = 4

/** What one sink gathered since the last barrier. */
export interface SinkOutput {
  readonly sink: number
  /**
   * table: DynamoDB JSON items, checked; stream: none; file: lines; http, kafka and openSearch: the key's bytes as hex, a line end, JSON;
   * user: the same, a line end, value and key as MessagePack in latin1.
   */
  readonly entries: readonly string[]
  /** Of a stream sink. */
  readonly batch?: SinkBatch
}

/** Records of a stream sink, as a batch without its checksum; those that name no time of their own have `timeless`. */
export interface SinkBatch {
  readonly batch: Uint8Array
  /** Of its rows. */
  readonly shapes: readonly Shape[]
}

/** In place of the time of a record that gets that of its commit. */
export const timeless = Number.MAX_SAFE_INTEGER

/** Records of one stream sink. The shapes that were found stay when the batch is taken. */
interface Appending {
  readonly rows: RowEncoder
  builder: BatchBuilder
}

/** What a task's sinks gather for the next barrier. */
export class Outputs {
  readonly #tables: Readonly<Record<number, TableKeys>>
  readonly #lists = new Map<number, string[]>()
  /** Table outputs: the last item of each key, since a put replaces what was there. */
  readonly #items = new Map<number, Map<string, string>>()
  readonly #streams = new Map<number, Appending>()
  readonly #effectBytesMax: number
  #text = 0

  /** `tables` are those of table sinks, by the index of the step; `effectBytesMax` is what one commit may hold, bytes. */
  constructor(tables: Readonly<Record<number, TableKeys>>, effectBytesMax = 16 * 1024 * 1024) {
    this.#tables = tables
    this.#effectBytesMax = effectBytesMax
  }

  /** Characters since the last barrier. */
  get text(): number {
    return this.#text
  }

  /** Takes what a sink's function gave. Throws TypeError for what the sink cannot hold, EFFECT_TOO_LARGE past the bound. */
  take(sink: SinkPlan, step: number, result: unknown, key: unknown): void {
    if (sink.kind !== 'file' && (result === undefined || result === null)) return
    if (sink.kind === 'table') return this.#put(sink.name, step, result)
    if (sink.kind === 'stream') return this.#append(step, result)
    const entry = entryOf(sink, result, key)
    const entries = this.#lists.get(step)
    if (entries) entries.push(entry)
    else this.#lists.set(step, [entry])
    this.#grow(entry.length)
  }

  #append(step: number, result: unknown): void {
    let stream = this.#streams.get(step)
    if (!stream) {
      const rows = new RowEncoder()
      stream = { rows, builder: new BatchBuilder(rows) }
      this.#streams.set(step, stream)
    }
    const { builder } = stream
    const before = builder.bytes
    builder.add(streamRecord(result), timeless)
    this.#grow(builder.bytes - before)
  }

  #put(table: string, step: number, result: unknown): void {
    const { key, item } = tableItem(table, result, this.#tables[step] as TableKeys)
    let items = this.#items.get(step)
    if (!items) {
      items = new Map()
      this.#items.set(step, items)
    }
    this.#grow(item.length - (items.get(key)?.length ?? -key.length))
    items.set(key, item)
  }

  #grow(text: number): void {
    this.#text += text
    if (this.#text > outputTextTimes * this.#effectBytesMax)
      throw new MillraceError(
        'EFFECT_TOO_LARGE',
        `The results since the last barrier are larger than ${outputTextTimes} times commit.effectSetBytesMax (${this.#effectBytesMax}).`,
        { remedy: 'Make fewer results of one record, or raise commit.effectSetBytesMax.' },
      )
  }

  barrier(): SinkOutput[] {
    const outputs: SinkOutput[] = []
    for (const [sink, entries] of this.#lists) outputs.push({ sink, entries })
    for (const [sink, items] of this.#items) outputs.push({ sink, entries: [...items.values()] })
    for (const [sink, stream] of this.#streams) {
      if (stream.builder.count === 0) continue
      outputs.push({ sink, entries: [], batch: { batch: stream.builder.build(), shapes: stream.builder.shapes } })
      stream.builder = new BatchBuilder(stream.rows)
    }
    this.#lists.clear()
    this.#items.clear()
    this.#text = 0
    return outputs
  }
}

function tableItem(table: string, result: unknown, keys: TableKeys): { key: string; item: string } {
  if (typeof result !== 'object' || Array.isArray(result))
    throw new TypeError(`The table sink ${table} takes an item: an object with its key attributes.`)
  try {
    const { item, size } = checkItem(attributesOf(kept(result) as SinkItem))
    if (size > itemBytesMax)
      throw new TypeError(`An item for the table ${table} has ${size} bytes; ${itemBytesMax} are allowed.`)
    const key = keyOf(item as Item, keys)
    if (keys.indexes) checkIndexedItem({ schema: keys, indexes: keys.indexes }, { item, size })
    return { key: JSON.stringify(key), item: JSON.stringify(item) }
  } catch (error) {
    if (error instanceof ValidationError)
      throw new TypeError(`An item for the table ${table} is not valid: ${error.message}`, { cause: error })
    throw error
  }
}

function entryOf(sink: Exclude<SinkPlan, { kind: 'table' | 'stream' }>, result: unknown, key: unknown): string {
  switch (sink.kind) {
    case 'file':
      return sink.columns ? csvLine(kept(result), sink.columns) : jsonOf(kept(result), 'A file sink')
    case 'user':
      return `${keyText(key)}\n${packState(packable([kept(result), key])).toString('latin1')}`
    case 'kafka':
      return `${keyText(key)}\n${kafkaEntry(kept(result))}`
    case 'openSearch':
      return `${keyText(key)}\n${openSearchEntry(kept(result))}`
    default:
      return `${keyText(key)}\n${jsonOf(kept(result), `A sink of the kind ${sink.kind}`)}`
  }
}

/** By which key results stay in order on their way out. */
const keyText = (key: unknown): string => (key === undefined ? '' : encodeKey(key).toString('hex'))

function streamRecord(result: unknown): SinkRecord {
  const { key, value, time } = (typeof result === 'object' ? result : {}) as SinkRecord
  if (typeof key !== 'string') throw new TypeError('A stream sink takes {key, value, time?}, the key a text.')
  if (Buffer.byteLength(key) > recordKeyBytesMax)
    throw new TypeError(`A stream sink was given a key of more than ${recordKeyBytesMax} bytes.`)
  if (time !== undefined && !(Number.isSafeInteger(time) && time >= 0))
    throw new TypeError('A stream sink takes as time whole milliseconds since 1970.')
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError('A stream sink was given something that no record can hold.')
  // What is no text in UTF-8 becomes what it is when it is written.
  return { key: Buffer.from(key).toString(), value: value === undefined ? null : kept(value), time }
}
