import { notWellFormed } from './statement-error.js'
import { type Token, type TokenKind, tokenise } from './tokens.js'

/**
 * Deepest nesting of expressions: parentheses, literals, calls, chains of operators other than AND and OR. AWS names no
 * such limit; this bounds the stack of everything that walks a statement.
 */
export const statementNestingMax = 128

/** Walks over a statement's tokens for the parsers. */
export class StatementReader {
  private readonly tokens: readonly Token[]
  private at = 0
  private nesting = 0
  private parameters = 0

  constructor(text: string) {
    this.tokens = tokenise(text)
  }

  get next(): Token {
    return this.tokens[this.at] as Token
  }

  get following(): Token | undefined {
    return this.tokens[this.at + 1]
  }

  /** Tokens from the present one on, the end included. */
  get left(): number {
    return this.tokens.length - this.at
  }

  /** Gives the present token and moves past it; the end stays. */
  take(): Token {
    const token = this.next
    if (token.kind !== 'end') this.at++
    return token
  }

  /** Whether the present token is this keyword or operator. */
  isWord(text: string): boolean {
    const { next } = this
    return next.text === text && (next.kind === 'keyword' || next.kind === 'operator')
  }

  /** Moves past the present token if it is this keyword or operator. */
  takeWord(text: string): boolean {
    if (!this.isWord(text)) return false
    this.at++
    return true
  }

  /** Moves past the present token if it is of this kind. */
  takeKind(kind: TokenKind): boolean {
    if (this.next.kind !== kind || kind === 'end') return false
    this.at++
    return true
  }

  expectKind(kind: TokenKind): Token {
    if (this.next.kind !== kind) throw notWellFormed(`Expected ${markNames[kind] ?? kind}`)
    return this.take()
  }

  /** The number of the next `?`. */
  countParameter(): number {
    return this.parameters++
  }

  /** Begins a nested part, or goes one operator further along a chain. */
  enter(): void {
    if (++this.nesting > statementNestingMax)
      throw notWellFormed(`Expressions are nested deeper than ${statementNestingMax} levels`)
  }

  leave(levels = 1): void {
    this.nesting -= levels
  }
}

/** Punctuation as messages name it. */
const markNames: Readonly<Record<string, string>> = {
  '(': 'LEFT_PAREN',
  ')': 'RIGHT_PAREN',
  ']': 'RIGHT_BRACKET',
  '}': 'RIGHT_CURLY',
  '>>': 'RIGHT_DOUBLE_ANGLE_BRACKET',
  ':': 'COLON',
}
