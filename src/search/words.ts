/** Longer runs without a space are no words that anybody types; they would only fill the index. */
const wordCharactersMax = 64

/** Letters with their marks and digits make a word; all else parts words. */
const betweenWords = /[^\p{L}\p{M}\p{N}]+/u
const plain = /^[0-9A-Za-z]*$/
const marks = /\p{M}+/gu

export const wordsOf = (text: string): string[] => text.split(betweenWords)

/** A word as it is kept and looked for: small letters without accents. Null: it is not kept. */
export function termOf(word: string): string | null {
  if (word === '' || word.length > wordCharactersMax) return null
  if (plain.test(word)) return word.toLowerCase()
  return word.normalize('NFKD').replace(marks, '').toLowerCase() || null
}
