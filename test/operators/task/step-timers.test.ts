import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StageBarrier, StoredTimer } from '../../../src/operators/task/index.js'
import { KeyDirectory } from '../../../src/operators/task/key-directory.js'
import { StepTimers } from '../../../src/operators/task/step-timers.js'
import { hashKey } from '../../../src/runtime/index.js'
import { encodeKeyValue } from '../../../src/tables/index.js'
import { MemoryStore, rangeOfTask } from '../../../src/testing/memory-store.js'

type Op =
  | { readonly kind: 'set' | 'clear'; readonly key: number; readonly time: number; readonly tag: number }
  | { readonly kind: 'fire'; readonly until: number }
  | { readonly kind: 'barrier' | 'commit' | 'sweep' | 'crash' }

const key = fc.integer({ min: 0, max: 3 })
const time = fc.integer({ min: 0, max: 12 })
const ops: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('set' as const, 'clear' as const),
      key,
      time,
      tag: fc.integer({ min: 0, max: 1 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('fire' as const), until: time }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('barrier' as const, 'commit' as const, 'sweep' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
)

/** Timers of one step over a store, and beside them the plain set that they must be. */
class Bench {
  readonly #store = new MemoryStore()
  #timers!: StepTimers
  #directory!: KeyDirectory
  #model = new Set<string>()
  #committedModel = new Set<string>()
  #inFlight: { readonly number: number; readonly result: StageBarrier; readonly model: Set<string> } | undefined
  #number = 0

  constructor() {
    this.#open()
  }

  #open(): void {
    this.#directory = new KeyDirectory({ kind: 'given' }, 1)
    this.#timers = new StepTimers({
      node: 0,
      slot: 0,
      domain: 'event',
      directory: this.#directory,
      isNew: this.#store.commits === 0,
      most: 3,
      fetch: async (request) => this.#store.fetchTimers(request, rangeOfTask(0, 1)),
      released: (entry) => {
        if (entry.isEmpty) this.#directory.forget(entry)
      },
    })
    this.#model = new Set(this.#committedModel)
    this.#inFlight = undefined
    this.#number = 0
  }

  async run(op: Op): Promise<void> {
    switch (op.kind) {
      case 'set':
        this.#timers.set(this.#directory.ofKey(op.key), op.time, op.tag)
        this.#model.add(`${op.time} ${op.key} ${op.tag}`)
        return
      case 'clear':
        this.#timers.clear(this.#directory.ofKey(op.key), op.time, op.tag)
        this.#model.delete(`${op.time} ${op.key} ${op.tag}`)
        return
      case 'fire':
        return this.#fire(op.until)
      case 'barrier':
        return this.#barrier()
      case 'commit':
        return this.#commit()
      case 'sweep':
        return this.#timers.sweep()
      case 'crash':
        return this.#open()
    }
  }

  async #fire(until: number): Promise<void> {
    const fired: string[] = []
    for (;;) {
      const timer = this.#timers.take(until)
      if (timer === undefined) break
      if (timer === 'load') await this.#timers.load()
      else fired.push(`${timer.time} ${timer.entry.shown} ${timer.tag}`)
    }
    const due = [...this.#model].filter((text) => Number.parseInt(text, 10) <= until)
    expect(new Set(fired)).toEqual(new Set(due))
    expect(fired).toHaveLength(due.length)
    const times = fired.map((text) => Number.parseInt(text, 10))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    for (const text of due) this.#model.delete(text)
  }

  #barrier(): void {
    if (this.#inFlight) return
    const timers: StageBarrier['timers'] = []
    const number = ++this.#number
    this.#timers.barrier(number, timers as (StoredTimer & { isSet: boolean })[])
    const result = { cells: [], timers, outputs: [], watermarks: [], parked: [], now: 0, isBehind: false }
    this.#inFlight = { number, result, model: new Set(this.#model) }
  }

  #commit(): void {
    if (!this.#inFlight) return
    const { number, result, model } = this.#inFlight
    this.#store.commit([{ stage: 0, shard: undefined, position: undefined, result, events: [] }])
    this.#timers.committed(number)
    this.#committedModel = model
    this.#inFlight = undefined
    const stored = [...this.#store.timers.values()].map(({ time, key, tag }) => `${time} ${key.readDoubleBE(1)} ${tag}`)
    expect(new Set(stored)).toEqual(model)
  }
}

describe('the timers of a step', () => {
  it('are a set: each fires once, in order of times, whatever is committed, left to the store or lost', () =>
    fc.assert(
      fc.asyncProperty(fc.array(ops, { maxLength: 120, size: 'max' }), async (all) => {
        const bench = new Bench()
        for (const op of all) await bench.run(op)
        await bench.run({ kind: 'fire', until: 100 })
      }),
      { numRuns: process.env.MILLRACE_LONG ? 100_000 : 600 },
    ))
})

describe('a stored key', () => {
  it('fire in order of times, those of one key and time in order of their tags, whenever they are set and cleared', () =>
    fc.assert(
      fc.property(fc.array(ops, { maxLength: 60 }), (list) => {
        const directory = new KeyDirectory({ kind: 'given' }, 1)
        const fetch = () => Promise.reject(new Error('nothing is asked of a store that has nothing'))
        const timers = new StepTimers({
          ...{ node: 0, slot: 0, domain: 'event', directory, isNew: true, most: 1000, fetch, released: () => {} },
        })
        const model = new Map<string, { readonly time: number; readonly key: number; readonly tag: number }>()
        const name = ({ time, key, tag }: { time: number; key: number; tag: number }) => `${time} ${key} ${tag}`
        for (const op of list) {
          if (op.kind === 'set') {
            timers.set(directory.ofKey(op.key), op.time, op.tag)
            model.set(name(op), op)
          } else if (op.kind === 'clear') {
            timers.clear(directory.ofKey(op.key), op.time, op.tag)
            model.delete(name(op))
          } else if (op.kind === 'fire') {
            const fired: { time: number; key: number; tag: number }[] = []
            for (let timer = timers.take(op.until); timer && timer !== 'load'; timer = timers.take(op.until))
              fired.push({ time: timer.time, key: timer.entry.shown as number, tag: timer.tag as number })
            const due = [...model.values()].filter(({ time }) => time <= op.until)
            const sorted = (all: typeof fired) => all.sort((a, b) => a.time - b.time || a.key - b.key || a.tag - b.tag)
            expect(fired.map(({ time }) => time)).toEqual(sorted([...fired]).map(({ time }) => time))
            for (let key = 0; key <= 3; key++) {
              const ofKey = fired.filter((timer) => timer.key === key)
              expect(ofKey).toEqual(
                sorted(due.filter((timer) => timer.key === key).map(({ time, tag }) => ({ time, key, tag }))),
              )
            }
            for (const timer of due) model.delete(name(timer))
          } else if (op.kind === 'barrier') {
            const changes: { time: number; tag: unknown; isSet: boolean }[] = []
            timers.barrier(1, changes as never)
            timers.committed(1)
          } else timers.sweep()
          expect(timers.size).toBe(model.size)
        }
      }),
      { numRuns: 500 },
    ))

  it('is the same when another thread gave its bytes', () => {
    const directory = new KeyDirectory({ kind: 'partition', hashKeyName: 'id' }, 1)
    const bytes = encodeKeyValue({ S: 'ann' })
    const { hi, lo } = hashKey(bytes)
    expect(directory.ofStored(new Uint8Array(bytes), hi, lo).shown).toEqual({ id: 'ann' })
    const plain = new KeyDirectory({ kind: 'partition', hashKeyName: undefined }, 1)
    expect(plain.ofStored(new Uint8Array(Buffer.from('ann')), hi, lo).shown).toEqual({ key: 'ann' })
  })
})
