import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Item } from './expectation.js'

/** An item as the SDK hands it out. */
export type SdkItem = Readonly<Record<string, AttributeValue>>

/** Whether an item is exactly the expected one: the same attributes, of the same types, with the same text. */
export function isItem(actual: SdkItem | undefined, expected: Item | undefined): boolean {
  if (actual === undefined || expected === undefined) return actual === expected
  const names = Object.keys(expected)
  if (Object.keys(actual).length !== names.length) return false
  return names.every((name) => {
    const value = actual[name]
    const wanted = expected[name]!
    if (value === undefined) return false
    return 'S' in wanted ? value.S === wanted.S : value.N === wanted.N
  })
}

export const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing'
