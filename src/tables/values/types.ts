/**
 * One attribute value in DynamoDB JSON. Checked values are canonical: numbers in plain decimal notation without
 * superfluous zeros, sets without duplicates, exactly one member.
 * Source: API_AttributeValue of the DynamoDB API reference.
 */
export type AttributeValue =
  | { S: string }
  | { N: string }
  | { B: string }
  | { BOOL: boolean }
  | { NULL: true }
  | { M: Record<string, AttributeValue> }
  | { L: AttributeValue[] }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: string[] }

export type AttributeType = 'S' | 'N' | 'B' | 'BOOL' | 'NULL' | 'M' | 'L' | 'SS' | 'NS' | 'BS'

/** An item: attribute names to values. Read it with `attributeOf`: names such as `constructor` are ordinary data here. */
export type Item = Record<string, AttributeValue>

export type KeyType = 'S' | 'N' | 'B'

export interface KeyAttribute {
  readonly name: string
  readonly type: KeyType
}

export interface KeySchema {
  readonly hash: KeyAttribute
  readonly range?: KeyAttribute
}

/** Most bytes that an item may have, names included; exactly so many are allowed. */
export const itemBytesMax = 409_600
/** Most bytes of a partition key's value. */
export const hashKeyBytesMax = 2048
/** Most bytes of a sort key's value. */
export const rangeKeyBytesMax = 1024
/** Most bytes of an attribute name. */
export const attributeNameBytesMax = 65_535
/** Levels of nesting that a value may have, the attribute itself counted. */
export const nestingMax = 32

/**
 * What is wrong with a value, an item or an expression, in AWS's own words. `serialization` is a JSON value of the wrong
 * type, which AWS answers with SerializationException; everything else is a ValidationException. `item` is what shows only
 * against the table's schema or the item as it is: AWS never counts it among the faults of a request.
 *
 * Since 2026 AWS has two layers of checks with words of their own, and an operation runs one of them (aws-error.ts):
 * `message` is in the newer words, `older` in those before, where they differ.
 */
export class ValidationError extends Error {
  readonly variant: 'validation' | 'serialization' | 'item'
  readonly older: string

  constructor(message: string, variant: 'validation' | 'serialization' | 'item' = 'validation', older = message) {
    super(message)
    this.name = 'ValidationError'
    this.variant = variant
    this.older = older
  }
}

/** An empty value of a key attribute, of a table or of an index. */
export class EmptyKeyError extends ValidationError {}
