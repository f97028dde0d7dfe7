/** Numbers as people read them: at most four digits, and a unit. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

export const count = (value: number): string => (value < 10_000 ? whole.format(value) : short.format(value))

export const exact = (value: number): string => whole.format(value)

export function perSecond(value: number): string {
  return `${value < 1000 ? digits.format(value) : short.format(value)}/s`
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function bytes(value: number): string {
  let unit = 0
  let rest = value
  while (Math.abs(rest) >= 1024 && unit < byteUnits.length - 1) {
    rest /= 1024
    unit++
  }
  return `${digits.format(rest)} ${byteUnits[unit]}`
}

/** A length of time, from microseconds to days. */
export function seconds(value: number): string {
  if (value < 0.001) return `${digits.format(value * 1e6)} µs`
  if (value < 1) return `${digits.format(value * 1000)} ms`
  if (value < 120) return `${digits.format(value)} s`
  if (value < 7200) return `${whole.format(value / 60)} min`
  if (value < 172_800) return `${whole.format(value / 3600)} h`
  return `${whole.format(value / 86_400)} days`
}

export const percent = (share: number): string => `${tenths.format(share * 100)} %`

/** The beginning of a text that may be of any length. */
export function shortened(text: string, lettersMax: number): string {
  if (text.length <= lettersMax) return text
  // No letter is cut through.
  return `${[...text.slice(0, lettersMax)].slice(0, -1).join('')}…`
}
