import { ValidationError } from './types.js'

/** Most significant digits of a number. */
export const numberDigitsMax = 38
/** The decimal exponent of a number's first digit lies between these. */
export const numberExponentMax = 125
export const numberExponentMin = -130

const minus = 45
const plus = 43
const dot = 46
const zero = 48
/** Exponents are Java's: what 64 bits do not hold is no number, and the older layer wraps at 32 bits. */
const exponentMax = 9_223_372_036_854_775_807n
const olderExponentMax = 2_147_483_647
const exponentDigitsMax = 19

const overflowText = 'Number overflow. Attempting to store a number with magnitude larger than supported range'
const underflowText = 'Number underflow. Attempting to store a number with magnitude smaller than supported range'
const precisionText = 'Attempting to store more than 38 significant digits in a Number'

function isDigit(code: number): boolean {
  return code >= zero && code <= 57
}

const noNumberText = 'The parameter cannot be converted to a numeric value'

function notANumber(text: string): ValidationError {
  const message = `${noNumberText}: ${text}`
  return new ValidationError(message, 'validation', text === '' ? noNumberText : message)
}

/** What is wrong with a number, by where it comes from: a request, or a sum with an attribute of the item. */
interface Faults {
  readonly variant: 'validation' | 'item'
  readonly tooPrecise: string
}

const given: Faults = { variant: 'validation', tooPrecise: precisionText }
// AWS answers a result of too many digits with the overflow text.
const computed: Faults = { variant: 'item', tooPrecise: overflowText }

/**
 * The canonical text of a number: plain decimal notation, no sign but a minus, no superfluous zeros, `0` for every zero.
 * Canonical input comes back as the same string after one scan, because nearly all input is canonical.
 */
export function normaliseNumber(text: string): string {
  const length = text.length
  const first = text.charCodeAt(0)
  const start = first === minus || first === plus ? 1 : 0
  let at = start
  while (at < length && isDigit(text.charCodeAt(at))) at++
  const integerEnd = at
  let fractionStart = at
  if (at < length && text.charCodeAt(at) === dot) {
    at++
    fractionStart = at
    while (at < length && isDigit(text.charCodeAt(at))) at++
  }
  const fractionEnd = at
  const integerDigits = integerEnd - start
  const fractionDigits = fractionEnd - fractionStart
  if (integerDigits + fractionDigits === 0) throw notANumber(text)

  if (at === length && first !== plus && integerDigits > 0 && integerDigits + fractionDigits <= numberDigitsMax) {
    const plainInteger = integerDigits === 1 || text.charCodeAt(start) !== zero
    const whole = fractionEnd === integerEnd
    if (plainInteger && whole && !(start === 1 && text.charCodeAt(1) === zero)) return text
    if (plainInteger && !whole && fractionDigits > 0 && text.charCodeAt(fractionEnd - 1) !== zero) return text
  }

  const exponent = at === length ? 0 : readExponent(text, at)
  const digits = text.slice(start, integerEnd) + text.slice(fractionStart, fractionEnd)
  return writeNumber(first === minus, digits, integerDigits + exponent, given)
}

/** The exponent as written, which is within the range of a number or near it: what is far outside is refused here. */
function readExponent(text: string, from: number): number {
  const mark = text.charCodeAt(from)
  if (mark !== 69 && mark !== 101) throw notANumber(text)
  let at = from + 1
  const sign = text.charCodeAt(at)
  if (sign === minus || sign === plus) at++
  const digitsFrom = at
  if (at >= text.length) throw notANumber(text)
  while (at < text.length && text.charCodeAt(at) === zero) at++
  const significantFrom = at
  for (; at < text.length; at++) {
    if (!isDigit(text.charCodeAt(at))) throw notANumber(text)
  }
  const digits = text.length - significantFrom
  if (digits > exponentDigitsMax || (digits === exponentDigitsMax && BigInt(text.slice(digitsFrom)) > exponentMax)) {
    throw notANumber(text)
  }
  const exponent = sign === minus ? -Number(text.slice(digitsFrom)) : Number(text.slice(digitsFrom))
  if (isZero(text, from) && exponent >= numberExponentMin && exponent <= numberExponentMax) return 0
  // No request is long enough to bring a greater exponent back into the range.
  if (Math.abs(exponent) < olderExponentMax && !isZero(text, from)) return exponent
  throw outOfRange(text, exponent)
}

/** Zeros are held against the range by the exponent that they are written with. */
function isZero(text: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    if (isDigit(code) && code !== zero) return false
  }
  return true
}

function outOfRange(text: string, exponent: number): ValidationError {
  const message = exponent > 0 ? overflowText : underflowText
  if (exponent === olderExponentMax) return new ValidationError(message, 'validation', underflowText)
  const isBeyond = Math.abs(exponent) > olderExponentMax
  return new ValidationError(message, 'validation', isBeyond ? `${noNumberText}: ${text}` : message)
}

/** `digits` with the decimal point before position `point` (which may lie outside of them). */
function writeNumber(negative: boolean, digits: string, point: number, faults: Faults): string {
  let from = 0
  while (from < digits.length && digits.charCodeAt(from) === zero) from++
  let to = digits.length
  while (to > from && digits.charCodeAt(to - 1) === zero) to--
  if (from === to) return '0'
  const significant = digits.slice(from, to)
  const position = point - from
  if (position - 1 > numberExponentMax) throw new ValidationError(overflowText, faults.variant)
  if (position - 1 < numberExponentMin) throw new ValidationError(underflowText, faults.variant)
  if (significant.length > numberDigitsMax) throw new ValidationError(faults.tooPrecise, faults.variant)
  const sign = negative ? '-' : ''
  if (position <= 0) return `${sign}0.${'0'.repeat(-position)}${significant}`
  if (position >= significant.length) return sign + significant + '0'.repeat(position - significant.length)
  return `${sign}${significant.slice(0, position)}.${significant.slice(position)}`
}

/** Below this many characters an integer and every sum of two of them is exact as a JavaScript number. */
const exactIntegerLengthMax = 15

function isShortInteger(text: string): boolean {
  return text.length <= exactIntegerLengthMax && text.indexOf('.') === -1
}

/** a + b of two canonical numbers, exact: a sum of more than 38 digits is an error, as on AWS, and never rounded. */
export function addNumbers(a: string, b: string): string {
  if (isShortInteger(a) && isShortInteger(b)) return String(Number(a) + Number(b))
  return combine(a, b, false)
}

/** a - b of two canonical numbers; see addNumbers. */
export function subtractNumbers(a: string, b: string): string {
  if (isShortInteger(a) && isShortInteger(b)) return String(Number(a) - Number(b))
  return combine(a, b, true)
}

function combine(a: string, b: string, subtract: boolean): string {
  const scaleA = fractionLength(a)
  const scaleB = fractionLength(b)
  const scale = Math.max(scaleA, scaleB)
  const unitsA = BigInt(a.replace('.', '') + '0'.repeat(scale - scaleA))
  const unitsB = BigInt(b.replace('.', '') + '0'.repeat(scale - scaleB))
  const units = subtract ? unitsA - unitsB : unitsA + unitsB
  const negative = units < 0n
  const digits = (negative ? -units : units).toString()
  return writeNumber(negative, digits, digits.length - scale, computed)
}

function fractionLength(text: string): number {
  const point = text.indexOf('.')
  return point === -1 ? 0 : text.length - point - 1
}

/** Negative, zero or positive as a is below, equal to or above b; both canonical. */
export function compareNumbers(a: string, b: string): number {
  if (a === b) return 0
  const negativeA = a.charCodeAt(0) === minus
  const negativeB = b.charCodeAt(0) === minus
  if (negativeA !== negativeB) return negativeA ? -1 : 1
  const wholeA = integerLength(a)
  const wholeB = integerLength(b)
  // With integer parts of one length the points are at the same place, and text order is the order of the magnitudes.
  const magnitude = wholeA === wholeB ? (a < b ? -1 : 1) : wholeA - wholeB
  return negativeA ? -magnitude : magnitude
}

export const sortNumbers = (texts: readonly string[]): string[] => texts.toSorted(compareNumbers)

function integerLength(text: string): number {
  const point = text.indexOf('.')
  return point === -1 ? text.length : point
}

/**
 * What a canonical number adds to an item's size, in bytes: 1, and one for every two significant digits of the integer
 * part and of the fraction (each rounded up), and 1 if it is negative. So AWS measures it; its guide says otherwise.
 */
export function numberSize(text: string): number {
  if (text === '0') return 1
  const start = text.charCodeAt(0) === minus ? 1 : 0
  const length = text.length
  const point = text.indexOf('.')
  let whole = 0
  let fraction = 0
  if (point === -1) {
    let end = length
    while (text.charCodeAt(end - 1) === zero) end--
    whole = end - start
  } else if (text.charCodeAt(start) === zero) {
    let from = point + 1
    while (text.charCodeAt(from) === zero) from++
    fraction = length - from
  } else {
    whole = point - start
    fraction = length - point - 1
  }
  return 1 + ((whole + 1) >> 1) + ((fraction + 1) >> 1) + start
}
