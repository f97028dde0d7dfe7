interface WellFormedText {
  isWellFormed(): boolean
  toWellFormed(): string
}

/** A string as UTF-8 can hold it: lone surrogates become U+FFFD, so that a value and its stored form are the same. */
export function wellFormed(text: string): string {
  // In every Node that Millrace runs on; the compiler's library for ES2023 does not know them yet.
  const known = text as unknown as WellFormedText
  return known.isWellFormed() ? text : known.toWellFormed()
}

/** Order of two strings by their UTF-8 bytes. UTF-16 order differs where a surrogate meets U+E000 to U+FFFF. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const unitA = a.charCodeAt(i)
    const unitB = b.charCodeAt(i)
    if (unitA !== unitB) return byteRank(unitA) - byteRank(unitB)
  }
  return a.length - b.length
}

function byteRank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000
}

const surrogate = /[\ud800-\udfff]/

/** Texts in that order. Without surrogates it is that of UTF-16, in which the engine sorts by itself and much faster. */
export function sortTexts(texts: readonly string[]): string[] {
  return texts.some((text) => surrogate.test(text)) ? texts.toSorted(compareText) : texts.toSorted()
}
