import { kept } from '../kept.js'
import type { NodeId, UserFunction } from '../plan/nodes.js'
import { packable } from '../state-value.js'
import type { Combining, Part } from './combining.js'
import { checkKey, hashOfKey } from './key-codec.js'
import { taskOfGroup } from './key-groups.js'
import type { Row } from './keyed-operator.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, afterwards, isThenable, type Push } from './step.js'

/** Where rows leave a task: each goes to the task that owns its key, a few hundred to a message. */
export class Exit {
  readonly id: NodeId
  readonly #runtime: StageRuntime
  readonly #run: UserFunction | undefined
  readonly #rowsMax: number
  /** Rows on their way to each task. */
  readonly #keys: unknown[][]
  readonly #rows: Row[][]
  #watermark = Number.NEGATIVE_INFINITY
  #isIdle = false
  readonly #combining: Combining | undefined

  /** Without a function, the key is the source's partition key, or the one that rows have (`keepsKey`). */
  constructor(
    runtime: StageRuntime,
    id: NodeId,
    run: UserFunction | undefined,
    tasks: number,
    rowsMax: number,
    combining?: Combining,
  ) {
    this.id = id
    this.#runtime = runtime
    this.#run = run
    this.#rowsMax = rowsMax
    this.#combining = combining
    this.#keys = Array.from({ length: tasks }, () => [])
    this.#rows = Array.from({ length: tasks }, () => [])
  }

  readonly push: Push = (value, at) => {
    const runtime = this.#runtime
    runtime.enter(this.id, at)
    const key = this.#run ? this.#run(value as never, at.key as never) : (at.entry ?? runtime.partitionOf(at)).shown
    if (isThenable(key)) return runtime.later(key, this.id, at, (found) => this.#take(kept(found), value, at))
    // A row of a record may be a key as a whole, and goes with its values beyond the record.
    return this.#take(typeof key === 'object' ? kept(key) : key, value, at)
  }

  /** In careful mode: the key of a value, or its promise. */
  keyOf(value: unknown, at: At): unknown {
    return this.#run ? this.#run(value as never, at.key as never) : (at.entry ?? this.#runtime.partitionOf(at)).shown
  }

  /** In careful mode: throws TypeError for a key or a value that cannot be sent. */
  check(key: unknown, value: unknown): void {
    checkKey(kept(key))
    this.#runtime.host.pack(packable(kept(value)))
  }

  /** Sends a value to the task of its key. */
  give(key: unknown, value: unknown, at: At): Promise<void> | undefined {
    return this.#take(kept(key), value, at)
  }

  #take(key: unknown, value: unknown, at: At): Promise<void> | undefined {
    const combining = this.#combining
    if (combining === undefined) return this.#takeRow(key, value, at)
    const taken = combining.take(key, value, at)
    if (taken === true) return combining.isFull ? this.#sendParts() : undefined
    if (taken !== false) return taken.then(() => (combining.isFull ? this.#sendParts() : undefined))
    // What was put together of its key came before it. The row must not be another's when that is sent.
    const left = typeof value === 'object' ? kept(value) : value
    const row = { value: left, time: at.time, stamp: at.stamp, sequence: at.sequence, parts: 0 }
    return afterwards(this.#sendParts(), () => this.#add(key, row))
  }

  #takeRow(key: unknown, value: unknown, at: At): Promise<void> | undefined {
    const left = typeof value === 'object' ? kept(value) : value
    return this.#add(key, { value: left, time: at.time, stamp: at.stamp, sequence: at.sequence, parts: 0 })
  }

  #add(key: unknown, row: Row): Promise<void> | undefined {
    let task = 0
    const tasks = this.#rows.length
    if (tasks === 1) checkKey(key)
    else task = taskOfGroup(hashOfKey(key).hi >>> 24, tasks)
    const rows = this.#rows[task] as Row[]
    ;(this.#keys[task] as unknown[]).push(key)
    return rows.push(row) >= this.#rowsMax ? this.#send(task) : undefined
  }

  #sendParts(): Promise<void> | undefined {
    const { isEmpty } = this.#combining as Combining
    return isEmpty ? undefined : this.#sendPartsFrom((this.#combining as Combining).drain(), 0)
  }

  #sendPartsFrom(parts: readonly Part[], from: number): Promise<void> | undefined {
    for (let i = from; i < parts.length; i++) {
      const part = parts[i] as Part
      const pending = this.#add(part.key, part)
      if (pending) return pending.then(() => this.#sendPartsFrom(parts, i + 1))
    }
    return undefined
  }

  #send(task: number): Promise<void> | undefined {
    const rows = this.#rows[task] as Row[]
    const keys = this.#keys[task] as unknown[]
    this.#rows[task] = []
    this.#keys[task] = []
    const { host } = this.#runtime
    const pending = host.send(this.id, task, { kind: 'rows', keys, rows })
    return pending && this.#runtime.fromHost(pending)
  }

  /** Sends what is left of a batch, and what is held back if event time comes to where it must be there. */
  flush(watermark = Number.NEGATIVE_INFINITY): Promise<void> | undefined {
    const combining = this.#combining
    if (combining === undefined || watermark < combining.heldUntil) return this.#flush()
    return afterwards(this.#sendParts(), () => this.#flush())
  }

  #flush(): Promise<void> | undefined {
    for (let task = 0; task < this.#rows.length; task++) {
      if ((this.#rows[task] as Row[]).length === 0) continue
      const pending = this.#send(task)
      if (pending) return pending.then(() => this.#flush())
    }
    return undefined
  }

  /** Behind all rows so far: where event time is. */
  advance(watermark: number, isIdle: boolean): void {
    const isLater = watermark > this.#watermark
    if (isLater) this.#watermark = watermark
    if (isLater || (this.#isIdle && !isIdle)) this.#all({ kind: 'watermark', watermark: this.#watermark })
    if (isIdle && (isLater || !this.#isIdle)) this.#all({ kind: 'idle' })
    this.#isIdle = isIdle
  }

  /** What is held back goes before it. It is sent at once, whether there is credit or not: its bound is its own. */
  barrier(number: number): void {
    const parts = this.#combining?.drain() ?? []
    for (const part of parts) void this.#add(part.key, part)
    if (parts.length > 0)
      for (let task = 0; task < this.#rows.length; task++)
        if ((this.#rows[task] as Row[]).length > 0) void this.#send(task)
    this.#all({ kind: 'barrier', number })
  }

  #all(message: Parameters<StageRuntime['host']['send']>[2]): void {
    for (let task = 0; task < this.#rows.length; task++) void this.#runtime.host.send(this.id, task, message)
  }
}
