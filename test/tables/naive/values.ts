/*
 * Values as the tests compute with them, from what the DynamoDB guides say and nothing of src/: slow, obvious, and wrong
 * in other places than the daemon.
 */

export type Value = {
  readonly S?: string
  readonly N?: string
  readonly B?: string
  readonly BOOL?: boolean
  readonly NULL?: boolean
  readonly M?: Item
  readonly L?: readonly Value[]
  readonly SS?: readonly string[]
  readonly NS?: readonly string[]
  readonly BS?: readonly string[]
}
export type Item = { readonly [name: string]: Value }

export type Type = keyof Value

export const typeOf = (value: Value): Type => Object.keys(value)[0] as Type

/** A number as an integer times a power of ten, without zeros at the integer's end. */
interface Decimal {
  readonly units: bigint
  readonly exponent: number
}

export function decimalOf(text: string): Decimal {
  const found = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text)
  if (!found) throw new Error(`no number: ${text}`)
  const [, sign = '', whole = '', fraction = '', power = '0'] = found
  let units = BigInt(`${whole}${fraction}`)
  let exponent = Number(power) - fraction.length
  if (units === 0n) return { units, exponent: 0 }
  while (units % 10n === 0n) {
    units /= 10n
    exponent++
  }
  return { units: sign === '-' ? -units : units, exponent }
}

export function decimalText({ units, exponent }: Decimal): string {
  const sign = units < 0n ? '-' : ''
  const digits = String(units < 0n ? -units : units)
  if (exponent >= 0) return `${sign}${digits}${units === 0n ? '' : '0'.repeat(exponent)}`
  const padded = digits.padStart(-exponent + 1, '0')
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`
}

/** The sum of two numbers, or undefined where 38 digits or the range do not hold it. */
export function sumOf(a: string, b: string, subtract = false): string | undefined {
  const [one, two] = [decimalOf(a), decimalOf(b)]
  const exponent = Math.min(one.exponent, two.exponent)
  const at = (each: Decimal) => each.units * 10n ** BigInt(each.exponent - exponent)
  const text = decimalText({ units: subtract ? at(one) - at(two) : at(one) + at(two), exponent })
  return isNumber(text) ? text : undefined
}

/** Whether a number has at most 38 digits and its first one stands between 10^-130 and 10^125. */
export function isNumber(text: string): boolean {
  const { units, exponent } = decimalOf(text)
  const digits = String(units < 0n ? -units : units).replace(/0+$/, '')
  const first = String(units < 0n ? -units : units).length - 1 + exponent
  return units === 0n || (digits.length <= 38 && first <= 125 && first >= -130)
}

export function compareNumbers(a: string, b: string): number {
  const [one, two] = [decimalOf(a), decimalOf(b)]
  const exponent = Math.min(one.exponent, two.exponent)
  const difference =
    one.units * 10n ** BigInt(one.exponent - exponent) - two.units * 10n ** BigInt(two.exponent - exponent)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

export const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64')
export const compareTexts = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
export const compareBinaries = (a: string, b: string): number => Buffer.compare(bytesOf(a), bytesOf(b))

/** Order of two S, two N or two B; undefined where there is none. */
export function compareValues(a: Value | undefined, b: Value | undefined): number | undefined {
  if (a?.S !== undefined && b?.S !== undefined) return compareTexts(a.S, b.S)
  if (a?.N !== undefined && b?.N !== undefined) return compareNumbers(a.N, b.N)
  if (a?.B !== undefined && b?.B !== undefined) return compareBinaries(a.B, b.B)
  return undefined
}

/** The one way to write a value: numbers in plain notation, sets sorted, members of maps by their names. */
export function canonical(value: Value): Value {
  if (value.N !== undefined) return { N: decimalText(decimalOf(value.N)) }
  if (value.NS) return { NS: value.NS.map((each) => decimalText(decimalOf(each))).sort(compareNumbers) }
  if (value.SS) return { SS: [...value.SS].sort(compareTexts) }
  if (value.BS) return { BS: [...value.BS].sort(compareBinaries) }
  if (value.L) return { L: value.L.map(canonical) }
  if (value.M) return { M: canonicalItem(value.M) }
  return value
}

export function canonicalItem(item: Item): Item {
  const names = Object.keys(item).sort()
  return Object.fromEntries(names.map((name) => [name, canonical(item[name] as Value)]))
}

export const textOf = (value: Value): string => JSON.stringify(canonical(value))
export const itemText = (item: Item | undefined): string =>
  item === undefined ? 'nothing' : JSON.stringify(canonicalItem(item))

export const isEqual = (a: Value, b: Value): boolean => textOf(a) === textOf(b)

/** Bytes of a number: one, one for every two digits before the point and behind it, and one for a minus. */
function numberSize(text: string): number {
  const plain = decimalText(decimalOf(text))
  if (plain === '0') return 1
  const [whole = '', fraction = ''] = plain.replace('-', '').split('.')
  const before = fraction === '' ? whole.replace(/0+$/, '') : whole === '0' ? '' : whole
  const after = before === '' ? fraction.replace(/^0+/, '') : fraction
  return 1 + Math.ceil(before.length / 2) + Math.ceil(after.length / 2) + (plain.startsWith('-') ? 1 : 0)
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

function valueSize(value: Value): number {
  if (value.S !== undefined) return Buffer.from(value.S).length
  if (value.N !== undefined) return numberSize(value.N)
  if (value.B !== undefined) return bytesOf(value.B).length
  if (value.SS) return sum(value.SS.map((each) => Buffer.from(each).length))
  if (value.NS) return sum(value.NS.map(numberSize))
  if (value.BS) return sum(value.BS.map((each) => bytesOf(each).length))
  if (value.L) return 3 + sum(value.L.map((each) => valueSize(each) + 1))
  if (value.M) return 3 + itemSize(value.M) + Object.keys(value.M).length
  return 1
}

export function itemSize(item: Item): number {
  return sum(Object.entries(item).map(([name, value]) => Buffer.from(name).length + valueSize(value)))
}
