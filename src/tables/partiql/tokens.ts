import { keywordOf } from './keywords.js'
import { notWellFormed, type Place } from './statement-error.js'

/**
 * `name`, `quoted`, `keyword`, `operator`, `string`, `number`, `parameter`, `ion`, `end`, or a punctuation mark: one of
 * `( ) [ ] { } << >> , : . ; *`.
 */
export type TokenKind = string

export interface Token extends Place {
  readonly kind: TokenKind
  /**
   * The name without its quotes; the keyword or operator in lower case, words of one operator with one space between
   * (`not in`); the content of a string; a number as it is written.
   */
  readonly text: string
}

/** Exponent and scale of a number literal are 32-bit integers on AWS. */
const exponentMax = 2_147_483_647
const scaleMin = -2_147_483_648
const scaleMax = 2_147_483_647

/** Words that are one operator or keyword together; the longest comes first. */
const pairs: Readonly<Record<string, readonly [string, 'operator' | 'keyword'][]>> = {
  not: [
    ['in', 'operator'],
    ['between', 'operator'],
    ['like', 'operator'],
  ],
  is: [['not', 'operator']],
  intersect: [['all', 'operator']],
  except: [['all', 'operator']],
  union: [['all', 'operator']],
  character: [['varying', 'keyword']],
  double: [['precision', 'keyword']],
  cross: [['join', 'keyword']],
  inner: [['join', 'keyword']],
  left: [['join', 'keyword']],
  right: [['join', 'keyword']],
  full: [['join', 'keyword']],
  outer: [['join', 'keyword']],
  insert: [['into', 'keyword']],
  modified: [
    ['old', 'keyword'],
    ['new', 'keyword'],
  ],
  all: [
    ['old', 'keyword'],
    ['new', 'keyword'],
  ],
}

const operatorWords = new Set('and or not is in like between union except intersect'.split(' '))

/** The tokens of a statement, with an `end` token last. One pass. Throws ValidationError for what begins no token. */
export function tokenise(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  for (;;) {
    at = skipBlank(text, at)
    if (at >= text.length) break
    const token = readToken(text, at)
    at = token.end
    const last = tokens.at(-1)
    const joined = last && joinedWords(last, token)
    if (joined) tokens[tokens.length - 1] = joined
    else tokens.push(token)
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length })
  return tokens
}

/** Past white space, `-- comments` and block comments. */
function skipBlank(text: string, from: number): number {
  let at = from
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 32 || (code >= 9 && code <= 13)) continue
    if (code === 45 && text.charCodeAt(at + 1) === 45) {
      const end = text.indexOf('\n', at)
      if (end < 0) return text.length
      at = end
    } else if (code === 47 && text.charCodeAt(at + 1) === 42) {
      const end = text.indexOf('*/', at + 2)
      if (end < 0) throw notWellFormed('')
      at = end + 1
    } else break
  }
  return at
}

function readToken(text: string, start: number): Token {
  const code = text.charCodeAt(start)
  if (isNameStart(code)) return readWord(text, start)
  if (isDigit(code) || (code === 46 && isDigit(text.charCodeAt(start + 1)))) return readNumber(text, start)
  switch (code) {
    case 34: // "
      return readQuoted(text, start, '"', 'quoted')
    case 39: // '
      return readQuoted(text, start, "'", 'string')
    case 96: // `
      return readQuoted(text, start, '`', 'ion')
    case 63: // ?
      return { kind: 'parameter', text: '?', start, end: start + 1 }
    default:
      return readMark(text, start)
  }
}

function readWord(text: string, start: number): Token {
  let end = start + 1
  while (end < text.length && (isNameStart(text.charCodeAt(end)) || isDigit(text.charCodeAt(end)))) end++
  const word = text.slice(start, end)
  const keyword = keywordOf(word)
  if (keyword === undefined) return { kind: 'name', text: word, start, end }
  return { kind: operatorWords.has(keyword) ? 'operator' : 'keyword', text: keyword, start, end }
}

function joinedWords(first: Token, second: Token): Token | undefined {
  if (first.kind !== 'keyword' && first.kind !== 'operator') return undefined
  const following = Object.hasOwn(pairs, first.text) ? pairs[first.text] : undefined
  const found = following?.find(([word]) => word === second.text)
  if (!found || (second.kind !== 'keyword' && second.kind !== 'operator')) return undefined
  return { kind: found[1], text: `${first.text} ${second.text}`, start: first.start, end: second.end }
}

function readNumber(text: string, start: number): Token {
  let at = start
  while (isDigit(text.charCodeAt(at))) at++
  let fraction = 0
  if (text.charCodeAt(at) === 46) {
    const point = at++
    while (isDigit(text.charCodeAt(at))) at++
    fraction = at - point - 1
  }
  let exponent = 0
  if (text.charCodeAt(at) === 69 || text.charCodeAt(at) === 101) {
    const sign = text.charCodeAt(at + 1)
    const digits = sign === 43 || sign === 45 ? at + 2 : at + 1
    let end = digits
    while (isDigit(text.charCodeAt(end))) end++
    if (end === digits) throw notWellFormed('')
    exponent = Number(text.slice(at + 1, end))
    at = end
  }
  const scale = fraction - exponent
  const fits = Math.abs(exponent) <= exponentMax && scale >= scaleMin && scale <= scaleMax
  // A number that runs into a word is neither.
  if (!fits || isNameStart(text.charCodeAt(at))) throw notWellFormed('')
  return { kind: 'number', text: text.slice(start, at), start, end: at }
}

/** A doubled quote stands for one. */
function readQuoted(text: string, start: number, quote: string, kind: TokenKind): Token {
  let content = ''
  let from = start + 1
  for (;;) {
    const end = text.indexOf(quote, from)
    if (end < 0) throw notWellFormed('')
    content += text.slice(from, end)
    if (text[end + 1] !== quote) return { kind, text: content, start, end: end + 1 }
    content += quote
    from = end + 2
  }
}

const twoCharacterOperators = new Set(['<=', '>=', '<>', '!=', '||'])

function readMark(text: string, start: number): Token {
  const two = text.slice(start, start + 2)
  if (two === '<<' || two === '>>') return { kind: two, text: two, start, end: start + 2 }
  if (twoCharacterOperators.has(two))
    return { kind: 'operator', text: two === '!=' ? '<>' : two, start, end: start + 2 }
  const one = two.charAt(0)
  if ('()[]{},:.;*'.includes(one)) return { kind: one, text: one, start, end: start + 1 }
  if ('<>=+-/%@'.includes(one)) return { kind: 'operator', text: one, start, end: start + 1 }
  throw notWellFormed('')
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

const isNameStart = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || code === 36
