/** Keywords are tokens of their own in every expression, in any case of letters. */
const keywords = new Set(['AND', 'OR', 'NOT', 'BETWEEN', 'IN', 'SET', 'REMOVE', 'ADD', 'DELETE'])
const keywordLengthMax = 7

/**
 * `name`, `nameReference`, `valueReference`, `number`, `unknown` or `end`; for a keyword the word in upper case; for an
 * operator or punctuation the characters themselves.
 */
export type TokenKind = string

export interface Token {
  readonly kind: TokenKind
  readonly start: number
  readonly end: number
}

/** The tokens of an expression, with an `end` token last. One pass; what begins no token is an `unknown` of one character. */
export function tokenise(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 32 || code === 9 || code === 10 || code === 13) {
      at++
      continue
    }
    const start = at
    at = tokenEnd(text, at, code)
    tokens.push({ kind: kindOf(text, start, at, code), start, end: at })
  }
  tokens.push({ kind: 'end', start: text.length, end: text.length })
  return tokens
}

function tokenEnd(text: string, start: number, code: number): number {
  let at = start + 1
  if (isLetter(code) || code === 35 || code === 58) {
    while (at < text.length && isWordPart(text.charCodeAt(at))) at++
  } else if (code >= 49 && code <= 57) {
    // A number has no leading zero: 01 is two tokens.
    while (at < text.length && isDigit(text.charCodeAt(at))) at++
  } else if (code === 60) {
    const next = text.charCodeAt(at)
    if (next === 61 || next === 62) at++
  } else if (code === 62) {
    if (text.charCodeAt(at) === 61) at++
  } else if (code >= 0xd800 && code < 0xdc00 && at < text.length) {
    at++
  }
  return at
}

function kindOf(text: string, start: number, end: number, code: number): TokenKind {
  if (isLetter(code)) {
    if (end - start > keywordLengthMax) return 'name'
    const upper = text.slice(start, end).toUpperCase()
    return keywords.has(upper) ? upper : 'name'
  }
  if (code === 35) return end - start > 1 ? 'nameReference' : 'unknown'
  if (code === 58) return end - start > 1 ? 'valueReference' : 'unknown'
  if (isDigit(code)) return 'number'
  switch (code) {
    case 40: // (
    case 41: // )
    case 43: // +
    case 44: // ,
    case 45: // -
    case 46: // .
    case 60: // < <= <>
    case 61: // =
    case 62: // > >=
    case 91: // [
    case 93: // ]
      return text.slice(start, end)
    default:
      return 'unknown'
  }
}

function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90)
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function isWordPart(code: number): boolean {
  return isLetter(code) || isDigit(code) || code === 95
}

/** Whether a key of ExpressionAttributeNames (`#`) or ExpressionAttributeValues (`:`) is a reference that can be written. */
export function isReference(text: string, mark: '#' | ':'): boolean {
  if (text.length < 2 || text[0] !== mark) return false
  for (let i = 1; i < text.length; i++) {
    if (!isWordPart(text.charCodeAt(i))) return false
  }
  return true
}
