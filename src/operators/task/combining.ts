import { kept } from '../kept.js'
import type { NodeId } from '../plan/nodes.js'
import { checkKey } from './key-codec.js'
import type { KeyedOperator, Row, RowCombiner } from './keyed-operator.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, isThenable } from './step.js'

/** Parts that are held back at a time; one more sends all of them. */
const partsMax = 16_384

/** Rows of one key that were put together: the row that they are sent as, whose value is the accumulator. */
export interface Part extends Row {
  readonly key: unknown
  readonly of: number
  value: unknown
  /** Of the last row. */
  time: number
  stamp: number
  sequence: number
  parts: number
  /** Another one of the key. */
  next: Part | undefined
}

/**
 * Rows that wait before a keyBy, put together by key as the step behind it would do it anyway. They are held back until event
 * time gets to where that step would give a result of them, the next barrier, or a bound, whatever is first: so neither its
 * results nor what a commit holds know of it.
 */
export class Combining {
  readonly #runtime: StageRuntime
  readonly #node: NodeId
  readonly #combiner: RowCombiner
  readonly #keepsValues: boolean
  #parts = new Map<unknown, Part>()
  #count = 0
  #last: Part | undefined
  /** Event time at which the first of them must have been sent. */
  heldUntil = Number.POSITIVE_INFINITY

  constructor(runtime: StageRuntime, node: NodeId, operator: KeyedOperator, combiner: RowCombiner) {
    this.#runtime = runtime
    this.#node = node
    this.#combiner = combiner
    this.#keepsValues = operator.keepsNoValue !== true
  }

  get isFull(): boolean {
    return this.#count >= partsMax
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Takes a row. False: it is sent as it is, behind everything that waits. */
  take(key: unknown, value: unknown, at: At): Promise<void> | boolean {
    if (typeof key === 'object') return false
    const of = this.#combiner.partOf(at)
    if (of === undefined) return false
    const part = this.#find(key, of)
    const { rowsIn } = this.#runtime
    rowsIn[this.#node] = (rowsIn[this.#node] as number) + 1
    this.#runtime.mark(this.#node, at)
    const given = this.#keepsValues && typeof value === 'object' ? kept(value) : value
    const next = this.#combiner.add(part?.value, given, at, key)
    if (isThenable(next)) {
      return this.#runtime.later(next, this.#node, at, (accumulator) => {
        this.#put(part, key, of, accumulator, at)
        return undefined
      })
    }
    this.#put(part, key, of, next, at)
    return true
  }

  #find(key: unknown, of: number): Part | undefined {
    const last = this.#last
    if (last !== undefined && last.key === key && last.of === of) return last
    let part = this.#parts.get(key)
    while (part !== undefined && part.of !== of) part = part.next
    return part
  }

  #put(found: Part | undefined, key: unknown, of: number, accumulator: unknown, at: At): void {
    const part = found ?? this.#add(key, of)
    part.value = accumulator
    part.time = at.time
    part.stamp = at.stamp
    part.sequence = at.sequence
    part.parts++
    this.#last = part
  }

  #add(key: unknown, of: number): Part {
    checkKey(key)
    const next = this.#parts.get(key)
    const part: Part = {
      key,
      of,
      value: undefined,
      time: 0,
      stamp: Number.NEGATIVE_INFINITY,
      sequence: 0,
      parts: 0,
      next,
    }
    this.#parts.set(key, part)
    this.#count++
    const until = this.#combiner.heldUntil(of)
    if (until < this.heldUntil) this.heldUntil = until
    return part
  }

  /** Everything that waits, key by key in the order in which they came; nothing waits then. */
  drain(): Part[] {
    const drained: Part[] = []
    for (const newest of this.#parts.values()) {
      const begin = drained.length
      for (let part: Part | undefined = newest; part !== undefined; ) {
        drained.push(part)
        const { next }: Part = part
        // What is sent keeps no other one.
        part.next = undefined
        part = next
      }
      if (drained.length - begin > 1) drained.push(...drained.splice(begin).reverse())
    }
    this.#parts.clear()
    this.#count = 0
    this.#last = undefined
    this.heldUntil = Number.POSITIVE_INFINITY
    return drained
  }
}
