import { Family } from '../commit/index.js'
import { decodeKey, type ParkedRow, stagesOf } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { decodeKeyValue } from '../tables/index.js'
import { decodeParked, parkedInput, parkedKey } from '../workers/index.js'
import { type PlaceOfPlan, placesOf } from './park-places.js'
import type { ParkedIndex, ParkedQueueInfo } from './parked-index.js'
import { numbered, type PipelineRow } from './rows.js'
import type { RetriedQueue } from './run-parking.js'
import type { RunSource } from './run-tasks.js'

/** Which queues are meant; all of the pipeline without any of these. */
export interface ParkedFilter {
  /** The name of the place. */
  readonly step?: string | undefined
  /** The key, as `ParkedRecord.key` shows it. */
  readonly key?: string | undefined
  /** Rows of each queue, beginning with the first; 1 by default. */
  readonly rowsMax?: number | undefined
  /** Queues that are read. */
  readonly limit?: number | undefined
  /** Queues that are left out before those. */
  readonly skip?: number | undefined
}

/** A row that waits. */
export interface ParkedRecord {
  readonly pipeline: string
  readonly step: string
  readonly key: string
  /** Its number in the queue of its key. */
  readonly number: number
  readonly kind: 'row' | 'timer'
  /** What its step was to be given. */
  readonly value?: unknown
  /** Of the record that it was made of; absent for a timer. */
  readonly sequence?: number
  readonly time: number
  /** When it was parked, milliseconds since 1970. */
  readonly parkedAt: number
  /** 0: it did not fail itself, it waits behind one that did. */
  readonly attempts: number
  readonly error?: { readonly code: string; readonly message: string; readonly stack?: string | undefined }
  /** Rows of the same key that wait behind it. */
  readonly behind: number
}

export interface ParkedList {
  readonly records: readonly ParkedRecord[]
  /** Queues that follow those that were listed. */
  readonly more: number
}

const queuesMax = 100
const readsAtOnce = 64

/** The rows of a pipeline that wait, as they lie in the store. */
export class ParkedRows {
  readonly #storage: Pick<Storage, 'get'>
  readonly #row: PipelineRow
  readonly #sources: readonly RunSource[]
  readonly #index: ParkedIndex
  readonly #labels: ReadonlyMap<number, string>
  readonly #places: ReadonlyMap<string, PlaceOfPlan>
  readonly #stages: ReturnType<typeof stagesOf>

  constructor(storage: Pick<Storage, 'get'>, row: PipelineRow, sources: readonly RunSource[], index: ParkedIndex) {
    this.#storage = storage
    this.#row = row
    this.#sources = sources
    this.#index = index
    this.#stages = stagesOf(row.plan.nodes)
    this.#labels = new Map(Object.entries(row.steps ?? {}).map(([label, number]) => [number, label]))
    this.#places = new Map(placesOf(row.plan, this.#stages).map((place) => [place.label, place]))
  }

  #chosen({ step, key }: ParkedFilter): ParkedQueueInfo[] {
    if (step !== undefined && this.#row.steps?.[step] === undefined)
      throw new MillraceError('NOT_FOUND', `The pipeline ${this.#row.plan.name} has no step named ${step}.`, {
        remedy: `Name one of these: ${Object.keys(this.#row.steps ?? {}).join(', ')}.`,
      })
    return this.#index
      .queues()
      .filter((queue) => step === undefined || this.#row.steps?.[step] === queue.step)
      .filter((queue) => key === undefined || this.#keyText(queue) === key)
  }

  /** The names of the queues that are meant, and how many rows they have. */
  choose(filter: ParkedFilter): { readonly names: ReadonlySet<string>; readonly records: number } {
    const queues = this.#chosen(filter)
    return {
      names: new Set(queues.map(nameOf)),
      records: queues.reduce((sum, { rows }) => sum + rows.size, 0),
    }
  }

  /** Those of the names whose queues are there. */
  known(names: ReadonlySet<string>): ReadonlySet<string> {
    if (names.size === 0) return names
    return new Set(
      this.#index
        .queues()
        .map(nameOf)
        .filter((name) => names.has(name)),
    )
  }

  /** The rows of queues that are to be tried again: of some of them, and of the last one its head alone, past so many bytes. */
  async queues(names: ReadonlySet<string>, bytesMax: number): Promise<RetriedQueue[]> {
    const queues: RetriedQueue[] = []
    if (names.size === 0) return queues
    let bytes = 0
    for (const queue of this.#index.queues()) {
      if (bytes >= bytesMax) break
      const name = nameOf(queue)
      if (!names.has(name)) continue
      const { step, hashHi, hashLo, key } = queue
      const numbers = numbersOf(queue)
      let count = 0
      for (; count < numbers.length && bytes < bytesMax; count++) bytes += queue.rows.get(numbers[count] as number) ?? 0
      const rows = await this.#read(queue, numbers.slice(0, count))
      const next = (numbers.at(-1) as number) + 1
      queues.push({ name, step, hashHi, hashLo, key, rows, next, hasMore: count < numbers.length })
    }
    return queues
  }

  async #read(
    queue: ParkedQueueInfo,
    numbers: readonly number[],
  ): Promise<{ readonly number: number; readonly row: ParkedRow }[]> {
    const rows: { number: number; row: ParkedRow }[] = []
    for (let at = 0; at < numbers.length; at += readsAtOnce) {
      const some = numbers.slice(at, at + readsAtOnce)
      const values = await Promise.all(some.map((number) => this.#storage.get(this.#rowKey(queue, number))))
      for (const [i, number] of some.entries()) {
        const value = values[i]
        if (value) rows.push({ number, row: decodeParked(value) })
      }
    }
    return rows
  }

  #rowKey({ step, hashHi, hashLo, key }: ParkedQueueInfo, number: number): Buffer {
    return parkedKey(numbered(Family.parked, this.#row.id), { step, hashHi, hashLo, key, number })
  }

  /** The keys of the rows that are given up: the first of each queue, or all. */
  rowsToDrop(names: ReadonlySet<string>, isAll: boolean): Buffer[] {
    return this.#index
      .queues()
      .filter((queue) => names.has(nameOf(queue)))
      .flatMap((queue) => {
        const numbers = numbersOf(queue)
        return (isAll ? numbers : numbers.slice(0, 1)).map((number) => this.#rowKey(queue, number))
      })
  }

  async list(filter: ParkedFilter): Promise<ParkedList> {
    // In an order that does not change as queues come and go, so that whoever reads page by page passes over none.
    const queues = this.#chosen(filter)
      .toSorted(byName)
      .slice(filter.skip ?? 0)
    const listed = queues.slice(0, filter.limit ?? queuesMax)
    const records: ParkedRecord[] = []
    for (const queue of listed) {
      const rows = await this.#read(queue, numbersOf(queue).slice(0, filter.rowsMax ?? 1))
      rows.forEach(({ number, row }, i) => {
        records.push(this.#record(queue, number, row, queue.rows.size - 1 - i))
      })
    }
    return { records, more: queues.length - listed.length }
  }

  #record(queue: ParkedQueueInfo, number: number, row: ParkedRow, behind: number): ParkedRecord {
    const { kind, sequence, time, at, attempts, error } = row
    return {
      pipeline: this.#row.plan.name,
      step: this.#labels.get(queue.step) ?? String(queue.step),
      key: this.#keyText(queue),
      number,
      kind,
      ...(kind === 'row' ? { value: shown(parkedInput(row)) } : {}),
      ...(sequence < 0 ? {} : { sequence }),
      time,
      parkedAt: at,
      attempts,
      ...(error ? { error } : {}),
      behind,
    }
  }

  /** A key as people write it: text as it is, anything else as JSON. */
  #keyText({ step, key }: ParkedQueueInfo): string {
    const place = this.#places.get(this.#labels.get(step) ?? '')
    const stage = place && this.#stages.stages[place.stage]
    if (stage?.kind === 'keyed') return textOf(decodeKey(key))
    const source = this.#sources.find(({ row }) => row.node === stage?.root)
    if (source?.row.hashKeyName === undefined) return key.toString()
    return textOf(Object.values(decodeKeyValue(key, 0).value)[0])
  }
}

/** What a queue is known by while the daemon runs. */
export const nameOf = ({ step, hashHi, hashLo, key }: Omit<ParkedQueueInfo, 'rows'>): string =>
  `${step} ${hashHi} ${hashLo} ${key.toString('latin1')}`

const byName = (a: ParkedQueueInfo, b: ParkedQueueInfo): number =>
  a.step - b.step || a.hashHi - b.hashHi || a.hashLo - b.hashLo || Buffer.compare(a.key, b.key)

const numbersOf = ({ rows }: ParkedQueueInfo): number[] => [...rows.keys()].sort((a, b) => a - b)

const textOf = (key: unknown): string => (typeof key === 'string' ? key : JSON.stringify(shown(key)))

/** A value as JSON can say it. */
function shown(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(
      value === undefined ? null : value,
      function (this: Readonly<Record<string, unknown>>, name, made: unknown) {
        if (typeof made === 'bigint') return String(made)
        const each = this[name]
        if (each instanceof Uint8Array) return Buffer.from(each.buffer, each.byteOffset, each.length).toString('base64')
        if (each instanceof Set) return [...each]
        if (each instanceof Map) return [...each]
        return made
      },
    ),
  ) as unknown
}
