import type { AttributeValue, Item, KeySchema } from '../values/index.js'

export interface Placeholders {
  readonly names?: Readonly<Record<string, string>>
  readonly values?: Readonly<Record<string, unknown>>
}

/** A document path: the attribute's name, then map members (strings) and list positions (numbers). */
export type Path = readonly [string, ...(string | number)[]]
export type PathList = readonly Path[]

/** The placeholders of one request, and which of them its expressions used. */
export declare class ExpressionContext {
  constructor(placeholders: Placeholders)
  /** Throws when a name or value was given that no expression used. Call it after all expressions are parsed. */
  checkAllUsed(): void
}

export interface Condition {
  readonly kind: string
}
export interface Update {
  readonly kind: string
}
export interface Projection {
  readonly paths: PathList
}

export interface KeyCondition {
  readonly hash: AttributeValue
  readonly range?: {
    readonly operator: '=' | '<' | '>' | '<=' | '>=' | 'BETWEEN' | 'begins_with'
    readonly values: readonly AttributeValue[]
  }
}

export declare function parseCondition(
  kind: 'ConditionExpression' | 'FilterExpression',
  text: string,
  context: ExpressionContext,
): Condition
/** `item` is `{}` when there is none. */
export declare function evaluateCondition(condition: Condition, item: Item): boolean
/** Top-level names that a condition reads: Query refuses key attributes in a filter. */
export declare function conditionTopLevelNames(condition: Condition): readonly string[]

export declare function parseUpdate(text: string, context: ExpressionContext): Update
/** Pure: a new item. Throws ValidationError for what only the item can show (invalid document path, wrong operand type). */
export declare function applyUpdate(update: Update, item: Item): { item: Item; touched: PathList }
/** The touched paths of an item: UPDATED_OLD of the old one, UPDATED_NEW of the new one. */
export declare function updatedAttributes(touched: PathList, item: Item): Item
/** Top-level names that an update writes: for "part of the key". */
export declare function updateTopLevelNames(update: Update): readonly string[]

export declare function parseProjection(text: string, context: ExpressionContext): Projection
export declare function project(projection: Projection, item: Item): Item

export declare function parseKeyCondition(text: string, context: ExpressionContext, schema: KeySchema): KeyCondition
