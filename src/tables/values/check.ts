import { base64Size } from './binary.js'
import { normaliseNumber, numberSize } from './decimal.js'
import { hasOwn, setAttribute } from './item.js'
import { notBytes, notList, notMap, notText, notValue, readBoolean } from './json-types.js'
import { checkBinarySet, checkNumberSet, checkTextSet } from './sets.js'
import { containerSize, elementSize } from './size.js'
import { wellFormed } from './text.js'
import {
  type AttributeType,
  type AttributeValue,
  attributeNameBytesMax,
  type Item,
  nestingMax,
  ValidationError,
} from './types.js'

const invalid = 'One or more parameter values were invalid: '

/**
 * Validates and normalises an item of parsed JSON. What is canonical already is not copied: the result may share any
 * part of `raw`, which must not be changed afterwards. The size is in bytes and is NOT held against itemBytesMax here,
 * because the text of that error depends on the operation.
 */
export function checkItem(raw: unknown): { item: Item; size: number } {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw notMap(raw)
  // AWS looks at the names of an item before its values, and at those within a value with it.
  if (Object.hasOwn(raw, '')) throw emptyName()
  const check = new Check()
  const item = check.members(raw as Record<string, unknown>, 1, 0)
  return { item, size: check.size }
}

/** As checkItem, of one value. */
export function checkValue(raw: unknown): AttributeValue {
  return new Check().value(raw, 1)
}

/** One walk over a raw value: checks, normalises and sums the size up. */
class Check {
  size = 0

  value(raw: unknown, depth: number): AttributeValue {
    if (depth > nestingMax) {
      throw new ValidationError(
        'Nesting Levels have exceeded supported limits: ' +
          'Attributes in the item have nested levels beyond supported limit',
      )
    }
    if (typeof raw !== 'object' || Array.isArray(raw)) throw notValue(raw)
    const fields = (raw ?? {}) as Record<string, unknown>
    let type: AttributeType | undefined
    let others = false
    for (const name in fields) {
      const content = fields[name]
      if (content === null || content === undefined || !isAttributeType(name)) {
        others = true
      } else if (type === undefined) {
        type = name
      } else {
        this.refuseSeveralTypes(fields, depth)
      }
    }
    if (type === undefined) {
      throw new ValidationError('Supplied AttributeValue is empty, must contain exactly one of the supported datatypes')
    }
    const content = fields[type]
    const checked = this.content(type, content, depth)
    if (checked === content && !others) return fields as AttributeValue
    return { [type]: checked } as AttributeValue
  }

  private content(type: AttributeType, raw: unknown, depth: number): unknown {
    switch (type) {
      case 'S': {
        if (typeof raw !== 'string') throw notText(raw)
        const text = wellFormed(raw)
        this.size += Buffer.byteLength(text)
        return text
      }
      case 'N': {
        if (typeof raw !== 'string') throw notText(raw)
        const number = normaliseNumber(raw)
        this.size += numberSize(number)
        return number
      }
      case 'B':
        if (typeof raw !== 'string') throw notBytes(raw)
        this.size += base64Size(raw)
        return raw
      case 'BOOL':
        this.size += 1
        return readBoolean(raw)
      case 'NULL':
        if (!readBoolean(raw)) {
          throw new ValidationError(`${invalid}Null attribute value types must have the value of true`)
        }
        this.size += 1
        return true
      case 'M':
        if (typeof raw !== 'object' || Array.isArray(raw)) throw notMap(raw)
        this.size += containerSize
        return this.members(raw as Record<string, unknown>, depth + 1, elementSize)
      case 'L':
        if (!Array.isArray(raw)) throw notList(raw)
        this.size += containerSize
        return this.elements(raw, depth + 1)
      case 'SS': {
        if (!Array.isArray(raw)) throw notList(raw)
        const members = checkTextSet(raw)
        for (const member of members) this.size += Buffer.byteLength(member)
        return members
      }
      case 'NS': {
        if (!Array.isArray(raw)) throw notList(raw)
        const members = checkNumberSet(raw)
        for (const member of members) this.size += numberSize(member)
        return members
      }
      case 'BS': {
        if (!Array.isArray(raw)) throw notList(raw)
        const members = checkBinarySet(raw)
        for (const member of members) this.size += base64Size(member)
        return members
      }
    }
  }

  /** The members of a map, or the attributes of an item; a copy is begun at the first that is not canonical. */
  members(raw: Record<string, unknown>, depth: number, overhead: number): Item {
    let copy: Item | undefined
    for (const name in raw) {
      if (!hasOwn.call(raw, name)) break
      this.size += overhead + checkAttributeName(name)
      const content = raw[name]
      const value = this.value(content, depth)
      if (value === content) {
        if (copy !== undefined) setAttribute(copy, name, value)
      } else {
        copy ??= membersBefore(raw, name)
        setAttribute(copy, name, value)
      }
    }
    return copy ?? (raw as Item)
  }

  private elements(raw: readonly unknown[], depth: number): AttributeValue[] {
    let copy: AttributeValue[] | undefined
    for (let i = 0; i < raw.length; i++) {
      this.size += elementSize
      const value = this.value(raw[i], depth)
      if (value !== raw[i]) copy ??= raw.slice(0, i) as AttributeValue[]
      copy?.push(value)
    }
    return copy ?? (raw as AttributeValue[])
  }

  /** A fault in any of the values comes before the one that there are several, as on AWS. */
  private refuseSeveralTypes(fields: Record<string, unknown>, depth: number): never {
    for (const name in fields) {
      const content = fields[name]
      if (content !== null && content !== undefined && isAttributeType(name)) this.content(name, content, depth)
    }
    throw new ValidationError(
      'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
    )
  }
}

function isAttributeType(name: string): name is AttributeType {
  switch (name) {
    case 'S':
    case 'N':
    case 'B':
    case 'BOOL':
    case 'NULL':
    case 'M':
    case 'L':
    case 'SS':
    case 'NS':
    case 'BS':
      return true
    default:
      return false
  }
}

/** The bytes of an attribute's name, which there must be some of and not too many. Throws ValidationError. */
export function checkAttributeName(name: string): number {
  const size = Buffer.byteLength(name)
  if (size === 0) throw emptyName()
  if (size > attributeNameBytesMax) {
    throw new ValidationError(`${invalid}Attribute name is too large, must be less than 65536 bytes`)
  }
  return size
}

const emptyName = () => new ValidationError('Empty attribute name')

function membersBefore(raw: Record<string, unknown>, end: string): Item {
  const copy: Item = {}
  for (const name in raw) {
    if (name === end) break
    setAttribute(copy, name, raw[name] as AttributeValue)
  }
  return copy
}
