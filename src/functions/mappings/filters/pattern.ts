import { isObject } from '../json-object.js'

/**
 * Event patterns as EventBridge defines them, for the records of a table's stream: a JSON object whose leaves are lists of
 * what a value may be. Read once, and refused where EventBridge refuses them.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 */

/** What a single value of an event is held against. */
export type Test =
  | { readonly kind: 'equals'; readonly value: string | number | boolean | null }
  | { readonly kind: 'exists'; readonly exists: boolean }
  | { readonly kind: 'text'; readonly holds: (text: string) => boolean }
  | { readonly kind: 'number'; readonly holds: (value: number) => boolean }
  /** Any value but these. */
  | { readonly kind: 'anythingBut'; readonly values: readonly (string | number)[] }
  /** Any value for which this does not hold. */
  | { readonly kind: 'not'; readonly holds: (text: string) => boolean }

export type Node =
  | { readonly kind: 'leaf'; readonly tests: readonly Test[] }
  | {
      readonly kind: 'object'
      readonly fields: readonly (readonly [string, Node])[]
      /** Of each list one has to match. */
      readonly either: readonly (readonly Node[])[]
    }

/** A pattern that EventBridge refuses. Why is for people who look into the log: AWS does not say it. */
export class PatternError extends Error {}

/** Levels of a pattern; AWS allows fewer bytes than would make more. */
const depthMax = 100

const operators = new Set([
  'exists',
  'prefix',
  'suffix',
  'equals-ignore-case',
  'wildcard',
  'anything-but',
  'numeric',
  'cidr',
])

/** Throws PatternError. */
export function readPattern(text: string): Node {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new PatternError('The pattern is not JSON.')
  }
  return readObject(value, 0)
}

/**
 * Throws PatternError also for what would take nothing at all and was taken once: `anything-but` with an empty prefix or suffix. Stored
 * patterns are read as they are.
 */
export function checkPattern(text: string): void {
  readPattern(text)
  refuseEmptyEnds(JSON.parse(text))
}

function refuseEmptyEnds(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, each] of Object.entries(value)) {
    if (name === 'anything-but' && isObject(each)) {
      const [end, text] = Object.entries(each)[0] ?? []
      const texts = [text].flat().map((one) => (isObject(one) ? one['equals-ignore-case'] : one))
      if ((end === 'prefix' || end === 'suffix') && texts.includes('')) throw new PatternError(`${end} has no text.`)
    } else refuseEmptyEnds(each)
  }
}

function readObject(value: unknown, depth: number): Node {
  if (!isObject(value)) throw new PatternError('A pattern is an object.')
  if (depth > depthMax) throw new PatternError('The pattern is nested too deeply.')
  const entries = Object.entries(value)
  if (entries.length === 0) throw new PatternError('Empty objects are not allowed.')
  const fields: [string, Node][] = []
  const either: Node[][] = []
  for (const [name, inner] of entries) {
    if (name === '$or' && isAlternatives(inner)) either.push(inner.map((each) => readObject(each, depth + 1)))
    else if (Array.isArray(inner)) fields.push([name, { kind: 'leaf', tests: readLeaf(inner, name) }])
    else if (isObject(inner)) fields.push([name, readObject(inner, depth + 1)])
    else throw new PatternError(`${name} is neither an object nor a list.`)
  }
  return { kind: 'object', fields, either }
}

/** `$or` is a field like others unless it holds two patterns or more. */
function isAlternatives(value: unknown): value is readonly object[] {
  if (!Array.isArray(value) || value.length < 2) return false
  return value.every((each) => isObject(each) && Object.keys(each).some((name) => !operators.has(name)))
}

function readLeaf(list: readonly unknown[], name: string): Test[] {
  if (list.length === 0) throw new PatternError('Empty lists are not allowed.')
  return list.map((each): Test => {
    if (isScalar(each)) return { kind: 'equals', value: each }
    if (!isObject(each)) throw new PatternError(`${name} holds a list within a list.`)
    return readOperator(each)
  })
}

function readOperator(value: Readonly<Record<string, unknown>>): Test {
  const [entry, ...more] = Object.entries(value)
  if (!entry || more.length > 0) throw new PatternError('An operator is an object with one member.')
  const [name, operand] = entry
  switch (name) {
    case 'exists':
      if (typeof operand !== 'boolean') throw new PatternError('exists is true or false.')
      return { kind: 'exists', exists: operand }
    case 'anything-but':
      return readAnythingBut(operand)
    case 'numeric':
      return { kind: 'number', holds: readNumeric(operand) }
    case 'cidr':
      return { kind: 'text', holds: readCidr(operand) }
    default:
      return { kind: 'text', holds: readText(name, operand) }
  }
}

/** Operators of text, which `anything-but` may turn round. */
function readText(name: string, operand: unknown): (text: string) => boolean {
  switch (name) {
    case 'prefix':
    case 'suffix': {
      const { text, ignoresCase } = readEnd(operand, name)
      const wanted = ignoresCase ? text.toLowerCase() : text
      const seen = (value: string): string => (ignoresCase ? value.toLowerCase() : value)
      return name === 'prefix' ? (value) => seen(value).startsWith(wanted) : (value) => seen(value).endsWith(wanted)
    }
    case 'equals-ignore-case': {
      const wanted = textOf(operand, name).toLowerCase()
      return (value) => value.toLowerCase() === wanted
    }
    case 'wildcard':
      return readWildcard(textOf(operand, name))
    default:
      throw new PatternError(`There is no operator ${name}.`)
  }
}

function readEnd(operand: unknown, name: string): { readonly text: string; readonly ignoresCase: boolean } {
  if (!isObject(operand)) return { text: textOf(operand, name), ignoresCase: false }
  const [entry, ...more] = Object.entries(operand)
  if (!entry || more.length > 0 || entry[0] !== 'equals-ignore-case')
    throw new PatternError(`${name} has text, or equals-ignore-case.`)
  return { text: textOf(entry[1], name), ignoresCase: true }
}

function readAnythingBut(operand: unknown): Test {
  if (isObject(operand)) {
    const [entry, ...more] = Object.entries(operand)
    if (!entry || more.length > 0) throw new PatternError('anything-but holds one operator.')
    const [name, inner] = entry
    const list = Array.isArray(inner) ? inner : [inner]
    if (list.length === 0) throw new PatternError('Empty lists are not allowed.')
    const tests = list.map((each) => readText(name, each))
    return { kind: 'not', holds: (text) => tests.some((test) => test(text)) }
  }
  const values: unknown[] = Array.isArray(operand) ? operand : [operand]
  const [first] = values
  if (values.length === 0 || !values.every((each) => typeof each === typeof first && isPlain(each)))
    throw new PatternError('anything-but has text or numbers, and not both.')
  return { kind: 'anythingBut', values: values as (string | number)[] }
}

/** EventBridge keeps numbers within these bounds. */
const numberMax = 5_000_000_000

function readNumeric(operand: unknown): (value: number) => boolean {
  if (!Array.isArray(operand) || (operand.length !== 2 && operand.length !== 4))
    throw new PatternError('numeric has one or two pairs of operator and number.')
  const pairs: [string, number][] = []
  for (let at = 0; at < operand.length; at += 2) {
    const [operator, value] = [operand[at] as unknown, operand[at + 1] as unknown]
    if (typeof operator !== 'string' || typeof value !== 'number' || Math.abs(value) > numberMax)
      throw new PatternError('numeric has pairs of operator and number.')
    pairs.push([operator, value])
  }
  const [[operator, value], upper] = pairs as [[string, number], [string, number]?]
  if (operator === '=' && !upper) return (seen) => seen === value
  if ((operator === '<' || operator === '<=') && !upper)
    return operator === '<' ? (seen) => seen < value : (seen) => seen <= value
  if (operator !== '>' && operator !== '>=') throw new PatternError(`numeric does not begin with ${operator}.`)
  const isAbove = operator === '>' ? (seen: number) => seen > value : (seen: number) => seen >= value
  if (!upper) return isAbove
  const [upperOperator, most] = upper
  if (upperOperator !== '<' && upperOperator !== '<=')
    throw new PatternError('The second bound of numeric is an upper one.')
  if (most <= value) throw new PatternError('The bounds of numeric are the wrong way round.')
  const isBelow = upperOperator === '<' ? (seen: number) => seen < most : (seen: number) => seen <= most
  return (seen) => isAbove(seen) && isBelow(seen)
}

/** `*` is any text, also none; a backslash takes `*` and itself literally. */
function readWildcard(pattern: string): (text: string) => boolean {
  const parts: string[] = ['']
  let wasStar = false
  for (let at = 0; at < pattern.length; at++) {
    let character = pattern[at] as string
    if (character === '*') {
      if (wasStar) throw new PatternError('Two wildcards stand side by side.')
      wasStar = true
      parts.push('')
      continue
    }
    if (character === '\\') {
      character = pattern[++at] ?? ''
      if (character !== '*' && character !== '\\') throw new PatternError('A backslash stands before * or a backslash.')
    }
    wasStar = false
    parts[parts.length - 1] += character
  }
  return (text) => matchesParts(text, parts)
}

/** Each part is looked for behind the one before: linear in the text, whatever the pattern is. */
function matchesParts(text: string, parts: readonly string[]): boolean {
  const [first, ...rest] = parts as [string, ...string[]]
  const last = rest.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

function readCidr(operand: unknown): (text: string) => boolean {
  const [address = '', length = '', more] = textOf(operand, 'cidr').split('/')
  const network = addressBits(address)
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (!network || bits < 0 || bits > network.width || more !== undefined) throw new PatternError('cidr is no block.')
  const shift = BigInt(network.width - bits)
  return (text) => {
    const seen = addressBits(text)
    return seen !== undefined && seen.width === network.width && seen.value >> shift === network.value >> shift
  }
}

function addressBits(text: string): { readonly value: bigint; readonly width: number } | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split('.').map(Number)
    if (parts.some((part) => part > 255)) return undefined
    return { value: parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n), width: 32 }
  }
  return sixBits(text)
}

function sixBits(text: string): { readonly value: bigint; readonly width: number } | undefined {
  const halves = text.split('::')
  if (!text.includes(':') || halves.length > 2) return undefined
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  if (groups.flat().some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return undefined
  const [head = [], tail] = groups
  const missing = 8 - head.length - (tail?.length ?? 0)
  if (tail ? missing < 1 : missing !== 0) return undefined
  const all = tail ? [...head, ...Array<string>(missing).fill('0'), ...tail] : head
  return { value: all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n), width: 128 }
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new PatternError(`${name} has text.`)
  return value
}

const isPlain = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number'

const isScalar = (value: unknown): value is string | number | boolean | null =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value)
