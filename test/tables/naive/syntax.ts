import type { Type, Value } from './values.js'

/** An attribute, then members of maps (names) and places in lists (numbers). */
export type Path = readonly [string, ...(string | number)[]]

export type Operand = { readonly path: Path } | { readonly value: Value } | { readonly size: Path }

export type Tree =
  | { readonly is: 'compare'; readonly operator: string; readonly left: Operand; readonly right: Operand }
  | { readonly is: 'between'; readonly value: Operand; readonly low: Operand; readonly high: Operand }
  | { readonly is: 'in'; readonly value: Operand; readonly options: readonly Operand[] }
  | { readonly is: 'exists' | 'missing'; readonly path: Path }
  | { readonly is: 'type'; readonly path: Path; readonly type: Type }
  | { readonly is: 'begins' | 'contains'; readonly path: Path; readonly part: Operand }
  | { readonly is: 'not'; readonly item: Tree }
  | { readonly is: 'and' | 'or'; readonly left: Tree; readonly right: Tree }

export type Source =
  | { readonly path: Path }
  | { readonly value: Value }
  | { readonly ifMissing: Path; readonly otherwise: Source }
  | { readonly first: Source; readonly second: Source }

export type Change =
  | { readonly do: 'SET'; readonly path: Path; readonly to: Source }
  | { readonly do: 'SET'; readonly path: Path; readonly left: Source; readonly sign: '+' | '-'; readonly right: Source }
  | { readonly do: 'REMOVE'; readonly path: Path }
  | { readonly do: 'ADD' | 'DELETE'; readonly path: Path; readonly value: Value }
