import fc from 'fast-check'

/** A decimal as the test computes with it: `units` times ten to the power of `exponent`. */
export interface Exact {
  readonly units: bigint
  readonly exponent: number
}

/** Every number that DynamoDB takes: up to 38 significant digits, its first digit between 10^-130 and 10^125. */
export const exactNumbers: fc.Arbitrary<Exact> = fc
  .record({
    digits: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 38 })),
    seed: fc.bigInt({ min: 0n, max: 10n ** 38n - 1n }),
    negative: fc.boolean(),
    first: fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.integer({ min: -130, max: 125 }),
      fc.constantFrom(-130, -129, 124, 125),
    ),
    zero: fc.integer({ min: 0, max: 20 }),
  })
  .map(({ digits, seed, negative, first, zero }) => {
    const least = 10n ** BigInt(digits - 1)
    const magnitude = zero === 0 ? 0n : least + (seed % (9n * least))
    // A zero is held against the range by the exponent that it is written with.
    return { units: negative ? -magnitude : magnitude, exponent: zero === 0 ? 0 : first - digits + 1 }
  })

/** Spellings of one number: exponents, superfluous zeros, a plus, a point at any place. */
export function spelling({ units, exponent }: Exact, choice: { zeros: number; shift: number; plus: boolean }): string {
  const negative = units < 0n
  const digits = '0'.repeat(choice.zeros) + (negative ? -units : units).toString() + '0'.repeat(choice.zeros)
  const point = digits.length - Math.min(choice.shift, digits.length)
  const power = exponent - choice.zeros + (digits.length - point)
  const sign = negative ? '-' : choice.plus ? '+' : ''
  const mark = choice.plus ? 'E' : 'e'
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}${mark}${choice.plus && power >= 0 ? '+' : ''}${power}`
}

export const spellings = fc.record({
  zeros: fc.integer({ min: 0, max: 5 }),
  shift: fc.integer({ min: 0, max: 50 }),
  plus: fc.boolean(),
})

/** Reads canonical text: a sign, digits, perhaps a point and more digits. */
export function exactOf(text: string): Exact {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) as RegExpExecArray
  return { units: BigInt(`${sign}${whole}${fraction}`), exponent: -fraction.length }
}

/** Both at one exponent. */
export function aligned(a: Exact, b: Exact): { a: bigint; b: bigint; exponent: number } {
  const exponent = Math.min(a.exponent, b.exponent)
  const at = (each: Exact): bigint => each.units * 10n ** BigInt(each.exponent - exponent)
  return { a: at(a), b: at(b), exponent }
}

export function compareExact(one: Exact, two: Exact): number {
  const { a, b } = aligned(one, two)
  return a < b ? -1 : a > b ? 1 : 0
}
