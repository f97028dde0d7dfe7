import { base64Bytes, base64Size, sortBinaries } from './binary.js'
import { compareNumbers, normaliseNumber, numberSize, sortNumbers } from './decimal.js'
import { notBytes, notText } from './json-types.js'
import { compareText, sortTexts, wellFormed } from './text.js'
import { ValidationError } from './types.js'

const invalid = 'One or more parameter values were invalid: '

/*
 * Checked sets are sorted (text by UTF-8 bytes, numbers by value, binary by bytes), as AWS answers them. Sorted members
 * also make equality, membership and the search for duplicates linear. A set that is sorted already is returned as it is.
 */

/**
 * A set of more bytes fits into no item, and not into the values of a request: it is refused for that, whatever else is
 * wrong with it. Sorting it would hold up everybody else for seconds.
 */
const sortedBytesMax = 2 * 1024 * 1024

const isTooLarge = (members: readonly string[], sizeOf: (member: string) => number): boolean => {
  let bytes = 0
  for (const member of members) bytes += sizeOf(member)
  return bytes > sortedBytesMax
}

export function checkTextSet(raw: readonly unknown[]): string[] {
  if (raw.length === 0) throw new ValidationError(`${invalid}An string set  may not be empty`)
  let canonical = true
  for (let i = 0; i < raw.length; i++) {
    const member = raw[i]
    if (member === null) {
      throw new ValidationError(`${invalid}An string set may not have a null string as a member`)
    }
    if (typeof member !== 'string') throw notText(member)
    if (wellFormed(member) !== member || (i > 0 && compareText(raw[i - 1] as string, member) >= 0)) canonical = false
  }
  if (canonical) return raw as string[]
  const texts = (raw as readonly string[]).map(wellFormed)
  if (isTooLarge(texts, Buffer.byteLength)) return texts
  const sorted = sortTexts(texts)
  if (hasDuplicates(sorted)) {
    const shown = (raw as readonly string[]).map(quote)
    throw new ValidationError(
      `${invalid}Input collection [${upToRepeat(shown, sorted.map(quote)).join(', ')}] contains duplicates.`,
      'validation',
      `${invalid}Input collection [${raw.join(', ')}] contains duplicates.`,
    )
  }
  return sorted
}

export function checkNumberSet(raw: readonly unknown[]): string[] {
  if (raw.length === 0) throw new ValidationError(`${invalid}An number set  may not be empty`)
  const members: string[] = []
  let canonical = true
  for (let i = 0; i < raw.length; i++) {
    const member = raw[i]
    if (member === null) {
      throw new ValidationError(`${invalid}An number set may not have a null string as a member`)
    }
    if (typeof member !== 'string') throw notText(member)
    const number = normaliseNumber(member)
    if (number !== member || (i > 0 && compareNumbers(members[i - 1] as string, number) >= 0)) canonical = false
    members.push(number)
  }
  if (canonical) return raw as string[]
  if (isTooLarge(members, numberSize)) return members
  const sorted = sortNumbers(members)
  if (hasDuplicates(sorted)) {
    throw new ValidationError(
      `${invalid}Input collection contains duplicates.`,
      'validation',
      'Input collection contains duplicates',
    )
  }
  return sorted
}

export function checkBinarySet(raw: readonly unknown[]): string[] {
  if (raw.length === 0) throw new ValidationError(`${invalid}Binary sets should not be empty`)
  let canonical = true
  let before: Buffer | undefined
  for (const member of raw) {
    if (member === null) {
      throw new ValidationError(`${invalid}Binary set may not have a null binary as a member`)
    }
    if (typeof member !== 'string') throw notBytes(member)
    base64Size(member)
    if (!canonical) continue
    const bytes = base64Bytes(member)
    canonical = before === undefined || Buffer.compare(before, bytes) < 0
    before = bytes
  }
  if (canonical || isTooLarge(raw as string[], base64Size)) return raw as string[]
  const sorted = sortBinaries(raw as string[])
  if (hasDuplicates(sorted)) {
    const shown = (raw as readonly string[]).map(quote)
    throw new ValidationError(
      `${invalid}Input collection [${upToRepeat(shown, sorted.map(quote)).join(',')}]of type BS contains duplicates.`,
      'validation',
      `${invalid}Input collection [${raw.join(', ')}]of type BS contains duplicates.`,
    )
  }
  return sorted
}

function hasDuplicates(sorted: readonly string[]): boolean {
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1]) return true
  }
  return false
}

const quote = (member: string): string => JSON.stringify(member)

/** As AWS shows a set with a repeat: what came before it in the set's order, then the repeat and the rest as they came. */
function upToRepeat(raw: readonly string[], sorted: readonly string[]): readonly string[] {
  const seen = new Set<string>()
  const repeat = raw.findIndex((member) => seen.size === seen.add(member).size)
  const places = new Map(sorted.map((member, place) => [member, place]))
  const before = [...seen].slice(0, repeat)
  before.sort((a, b) => (places.get(a) as number) - (places.get(b) as number))
  return [...before, ...raw.slice(repeat)]
}
