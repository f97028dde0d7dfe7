import type { Node, Test } from './pattern.js'

/** An object of an event whose members are made when they are asked for. */
export abstract class Members {
  /** undefined: the event has no such member. */
  abstract member(name: string): unknown
}

/**
 * Whether an event matches a pattern: every field that the pattern names is there and is one of what its list says. A field
 * that holds a list matches when one of its entries does.
 */
export function matches(node: Node, value: unknown): boolean {
  if (node.kind === 'leaf') return node.tests.some((test) => leafHolds(test, value))
  // An event that has no such object has no such fields.
  if (Array.isArray(value)) return value.some((each) => matches(node, each))
  const members = isObject(value) ? value : undefined
  for (const [name, inner] of node.fields) if (!matches(inner, memberOf(members, name))) return false
  return node.either.every((alternatives) => alternatives.some((each) => matches(each, value)))
}

function memberOf(members: Readonly<Record<string, unknown>> | undefined, name: string): unknown {
  if (members instanceof Members) return members.member(name)
  return members !== undefined && Object.hasOwn(members, name) ? members[name] : undefined
}

function leafHolds(test: Test, value: unknown): boolean {
  // Only leaves exist for EventBridge: an object is as absent as nothing.
  if (test.kind === 'exists') return test.exists === hasLeaf(value)
  if (Array.isArray(value)) return value.some((each) => leafHolds(test, each))
  switch (test.kind) {
    case 'equals':
      return value === test.value
    case 'text':
      return typeof value === 'string' && test.holds(value)
    case 'number':
      return typeof value === 'number' && test.holds(value)
    case 'anythingBut':
      return isLeaf(value) && !test.values.includes(value as string | number)
    case 'not':
      return isLeaf(value) && !(typeof value === 'string' && test.holds(value))
  }
}

const hasLeaf = (value: unknown): boolean => (Array.isArray(value) ? value.some(hasLeaf) : isLeaf(value))

const isLeaf = (value: unknown): boolean => value !== undefined && (value === null || typeof value !== 'object')

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
