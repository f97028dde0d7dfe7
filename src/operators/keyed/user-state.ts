import { kept } from '../kept.js'
import { checkMembers } from '../plan/members.js'
import type { KeyedContext } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'

/** Entries of a list or map of state unless it is told otherwise. */
export const stateEntriesDefault = 1000

/** One value of state. */
export interface ValueState<Value> {
  /** The value; what the state was declared with when there is none. */
  get(): Value
  set(value: Value & {}): void
  clear(): void
}

/** A list of state. Past its bound the oldest entries go, and are counted as `evicted`. */
export interface ListState<Value> {
  readonly length: number
  all(): readonly Value[]
  push(...values: readonly Value[]): void
  /** Puts these in place of all. */
  replace(values: readonly Value[]): void
  clear(): void
}

/** A map of state. Past its bound the entries that were set first go, and are counted as `evicted`. */
export interface MapState<Name extends string | number | bigint, Value> {
  readonly size: number
  get(name: Name): Value | undefined
  has(name: Name): boolean
  set(name: Name, value: Value): void
  delete(name: Name): boolean
  keys(): IterableIterator<Name>
  values(): IterableIterator<Value>
  entries(): IterableIterator<[Name, Value]>
  clear(): void
}

/** Declares a piece of state. Each is one cell of the key: it is fetched and written as a whole. */
export type StateDeclaration<State> =
  | { readonly kind: 'value'; readonly initial: (() => unknown) | undefined; readonly type?: State }
  | { readonly kind: 'list' | 'map'; readonly max: number; readonly type?: State }

/** A value; `initial` gives what it is before it is set. */
export function valueState<Value>(): StateDeclaration<ValueState<Value | undefined>>
export function valueState<Value>(initial: () => Value): StateDeclaration<ValueState<Value>>
export function valueState(initial?: () => unknown): StateDeclaration<never> {
  return { kind: 'value', initial }
}

/** A list of at most `max` entries, 1000 by default. */
export function listState<Value>(options: { readonly max?: number } = {}): StateDeclaration<ListState<Value>> {
  checkMembers(options, { max: true }, 'listState')
  return { kind: 'list', max: options.max ?? stateEntriesDefault }
}

/** A map of at most `max` entries, 1000 by default. */
export function mapState<Name extends string | number | bigint, Value>(
  options: { readonly max?: number } = {},
): StateDeclaration<MapState<Name, Value>> {
  checkMembers(options, { max: true }, 'mapState')
  return { kind: 'map', max: options.max ?? stateEntriesDefault }
}

/** The pieces that a declaration declares, as user code sees them. */
export type DeclaredState<Declarations> = {
  readonly [Name in keyof Declarations]: Declarations[Name] extends StateDeclaration<infer State> ? State : never
}

/** Where a piece of state finds the key whose row or timer is under way. */
export interface CurrentKey {
  /** Throws TypeError where no row or timer is under way. */
  readonly context: KeyedContext
}

export function pieceOf(declaration: StateDeclaration<unknown>, cell: string, current: CurrentKey): unknown {
  if (declaration.kind === 'value') return new ValuePiece(cell, declaration.initial, current)
  return new (declaration.kind === 'list' ? ListPiece : MapPiece)(cell, declaration.max, current)
}

class ValuePiece implements ValueState<unknown> {
  constructor(
    readonly cell: string,
    readonly initial: (() => unknown) | undefined,
    readonly current: CurrentKey,
  ) {}

  get(): unknown {
    const value = stateIn(this.current.context, this.cell)
    return value === undefined ? this.initial?.() : value
  }

  set(value: unknown): void {
    this.current.context.put(kept(value), this.cell)
  }

  clear(): void {
    this.current.context.put(undefined, this.cell)
  }
}

class ListPiece implements ListState<unknown> {
  constructor(
    readonly cell: string,
    readonly max: number,
    readonly current: CurrentKey,
  ) {}

  #list(): unknown[] {
    return (stateIn(this.current.context, this.cell) as unknown[] | undefined) ?? []
  }

  get length(): number {
    return this.#list().length
  }

  all(): readonly unknown[] {
    return this.#list()
  }

  push(...values: readonly unknown[]): void {
    const list = this.#list()
    for (const value of values) list.push(kept(value))
    this.#put(list)
  }

  replace(values: readonly unknown[]): void {
    this.#put(values.map(kept))
  }

  clear(): void {
    this.#put([])
  }

  #put(list: unknown[]): void {
    const { context } = this.current
    const extra = list.length - this.max
    if (extra > 0) {
      list.splice(0, extra)
      context.count('evicted', extra)
    }
    context.put(list.length > 0 ? list : undefined, this.cell)
  }
}

class MapPiece implements MapState<string, unknown> {
  constructor(
    readonly cell: string,
    readonly max: number,
    readonly current: CurrentKey,
  ) {}

  #map(): Map<string, unknown> {
    return (stateIn(this.current.context, this.cell) as Map<string, unknown> | undefined) ?? new Map()
  }

  get size(): number {
    return this.#map().size
  }

  get(name: string): unknown {
    return this.#map().get(name)
  }

  has(name: string): boolean {
    return this.#map().has(name)
  }

  set(name: string, value: unknown): void {
    // Another object of the same content would be another name, and each a new one when the map was stored.
    if (typeof name === 'object' || typeof name === 'function')
      throw new TypeError(`The map ${this.cell} of state was given a name that is no text, number or bigint.`)
    const { context } = this.current
    const map = this.#map()
    map.set(name, kept(value))
    if (map.size > this.max) {
      map.delete(map.keys().next().value as string)
      context.count('evicted')
    }
    context.put(map, this.cell)
  }

  delete(name: string): boolean {
    const map = this.#map()
    const wasThere = map.delete(name)
    if (wasThere) this.current.context.put(map.size > 0 ? map : undefined, this.cell)
    return wasThere
  }

  keys(): IterableIterator<string> {
    return this.#map().keys()
  }

  values(): IterableIterator<unknown> {
    return this.#map().values()
  }

  entries(): IterableIterator<[string, unknown]> {
    return this.#map().entries()
  }

  clear(): void {
    this.current.context.put(undefined, this.cell)
  }
}
