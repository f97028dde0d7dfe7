import { base64Size } from './binary.js'
import { notBytes, notList, notMap, notText, notValue, readBoolean } from './json-types.js'
import { nestingMax } from './types.js'

/**
 * Refuses a raw attribute value whose JSON is of another type than its model, as AWS's parser does before anything else is
 * looked at. `checkValue` finds the same faults among others; this is for requests that are refused for another reason, to
 * tell which AWS would have named. A null is a member that is not there.
 */
export function checkJsonShape(raw: unknown, depth = 1): void {
  // Whatever is nested deeper is refused for that, and is not walked.
  if (raw === null || depth > nestingMax) return
  if (typeof raw !== 'object' || Array.isArray(raw)) throw notValue(raw)
  for (const [type, content] of Object.entries(raw)) {
    if (content !== null) checkContent(type, content, depth)
  }
}

/** As checkJsonShape, of a map of attribute values. */
export function checkJsonShapes(raw: object, depth = 1): void {
  for (const value of Object.values(raw)) checkJsonShape(value, depth)
}

function checkContent(type: string, content: unknown, depth: number): void {
  switch (type) {
    case 'S':
    case 'N':
      return checkText(content)
    case 'B':
      return checkBytes(content)
    case 'BOOL':
    case 'NULL':
      readBoolean(content)
      return
    case 'M':
      if (typeof content !== 'object' || Array.isArray(content)) throw notMap(content)
      return checkJsonShapes(content as object, depth + 1)
    case 'L':
      for (const element of listOf(content)) checkJsonShape(element, depth + 1)
      return
    case 'SS':
    case 'NS':
      for (const member of listOf(content)) if (member !== null) checkText(member)
      return
    case 'BS':
      for (const member of listOf(content)) if (member !== null) checkBytes(member)
  }
}

function checkText(content: unknown): void {
  if (typeof content !== 'string') throw notText(content)
}

function checkBytes(content: unknown): void {
  if (typeof content !== 'string') throw notBytes(content)
  base64Size(content)
}

function listOf(content: unknown): readonly unknown[] {
  if (!Array.isArray(content)) throw notList(content)
  return content as readonly unknown[]
}
