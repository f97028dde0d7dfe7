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
const exponentClamp = 1_000_000

const overflowText = 'Number overflow. Attempting to store a number with magnitude larger than supported range'
const underflowText = 'Number underflow. Attempting to store a number with magnitude smaller than supported range'
const precisionText = 'Attempting to store more than 38 significant digits in a Number'

function isDigit(code: number): boolean {
  return code >= zero && code <= 57
}

function notANumber(text: string): ValidationError {
  const of = text === '' ? '' : `: ${text}`
  return new ValidationError(`The parameter cannot be converted to a numeric value${of}`)
}

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
  return writeNumber(first === minus, digits, integerDigits + exponent, precisionText)
}

function readExponent(text: string, from: number): number {
  const mark = text.charCodeAt(from)
  if (mark !== 69 && mark !== 101) throw notANumber(text)
  let at = from + 1
  const sign = text.charCodeAt(at)
  if (sign === minus || sign === plus) at++
  if (at >= text.length) throw notANumber(text)
  let exponent = 0
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (!isDigit(code)) throw notANumber(text)
    exponent = Math.min(exponent * 10 + code - zero, exponentClamp)
  }
  return sign === minus ? -exponent : exponent
}

/** `digits` with the decimal point before position `point` (which may lie outside of them). */
function writeNumber(negative: boolean, digits: string, point: number, tooPrecise: string): string {
  let from = 0
  while (from < digits.length && digits.charCodeAt(from) === zero) from++
  let to = digits.length
  while (to > from && digits.charCodeAt(to - 1) === zero) to--
  if (from === to) return '0'
  const significant = digits.slice(from, to)
  const position = point - from
  if (position - 1 > numberExponentMax) throw new ValidationError(overflowText)
  if (position - 1 < numberExponentMin) throw new ValidationError(underflowText)
  if (significant.length > numberDigitsMax) throw new ValidationError(tooPrecise)
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
  // AWS answers a result of too many digits with the overflow text.
  return writeNumber(negative, digits, digits.length - scale, overflowText)
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
