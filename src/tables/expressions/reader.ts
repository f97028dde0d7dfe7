import { ValidationError } from '../values/index.js'
import { type Token, type TokenKind, tokenise } from './tokens.js'

/** Most bytes of an expression's text, before names are put in. */
export const expressionBytesMax = 4096
/** Most operators and functions of one expression. */
export const expressionOperatorsMax = 300
/**
 * Deepest nesting of parentheses and calls. An expression that is otherwise legal cannot come near it, because doubled
 * parentheses are refused and every other level takes an operator or a function; it bounds the parser's own stack.
 */
export const expressionNestingMax = 512

export type ExpressionKind =
  | 'ConditionExpression'
  | 'FilterExpression'
  | 'KeyConditionExpression'
  | 'UpdateExpression'
  | 'ProjectionExpression'
  /** A PartiQL statement: the same checks, and messages that name no parameter. */
  | 'Statement'

export function expressionError(kind: ExpressionKind, message: string): ValidationError {
  return new ValidationError(kind === 'Statement' ? message : `Invalid ${kind}: ${message}`)
}

/** Walks over an expression's tokens for a parser, and keeps the limits that hold for all of them. */
export class ExpressionReader {
  readonly kind: ExpressionKind
  private readonly text: string
  private readonly tokens: readonly Token[]
  /** For each token that opened a group, the token that closed it. */
  private readonly groupEnds = new Map<number, number>()
  private at = 0
  private operators = 0
  private nesting = 0

  constructor(kind: ExpressionKind, text: string) {
    this.kind = kind
    this.text = text
    if (text === '') throw this.error('The expression can not be empty;')
    const size = Buffer.byteLength(text)
    if (size > expressionBytesMax) {
      const message = `Invalid ${kind}: Expression size has exceeded the maximum allowed size;`
      const older = kind === 'UpdateExpression' ? message : `${message} expression size: ${size}`
      throw new ValidationError(message, 'validation', older)
    }
    this.tokens = tokenise(text)
  }

  error(message: string): ValidationError {
    return expressionError(this.kind, message)
  }

  /** The kind of the token at the present place. */
  get next(): TokenKind {
    return (this.tokens[this.at] as Token).kind
  }

  /** The kind of the token after it. */
  get following(): TokenKind {
    return this.tokens[this.at + 1]?.kind ?? 'end'
  }

  /** Moves past the present token if it is of this kind. */
  take(kind: TokenKind): boolean {
    if (this.next !== kind || kind === 'end') return false
    this.at++
    return true
  }

  /** Moves past the present token and gives its text. */
  takeText(): string {
    const token = this.tokens[this.at] as Token
    this.at++
    return this.text.slice(token.start, token.end)
  }

  expect(kind: TokenKind): void {
    if (!this.take(kind)) throw this.syntaxError()
  }

  expectEnd(): void {
    if (this.next !== 'end') throw this.syntaxError()
  }

  /** The present token is not what the grammar wants: AWS names it, and quotes from the token before to the one after. */
  syntaxError(): ValidationError {
    const token = this.tokens[this.at] as Token
    const from = this.at === 0 ? 0 : (this.tokens[this.at - 1] as Token).start
    const to = (this.tokens[this.at + 1] ?? token).end
    const found = token.kind === 'end' ? '<EOF>' : this.text.slice(token.start, token.end)
    return this.error(`Syntax error; token: "${found}", near: "${this.text.slice(from, to)}"`)
  }

  countOperator(): void {
    this.operators++
    if (this.operators > expressionOperatorsMax) {
      throw this.error(`The expression contains too many operators; operator count: ${this.operators}`)
    }
  }

  /** Begins a nested part: everything between parentheses. */
  enter(): void {
    this.nesting++
    if (this.nesting > expressionNestingMax) {
      throw this.error(`The expression has too many nesting levels; nesting levels: ${this.nesting}`)
    }
  }

  leave(): void {
    this.nesting--
  }

  /** Takes the opening parenthesis of a group and gives the place that closeGroup wants. */
  openGroup(): number {
    this.enter()
    return this.at++
  }

  /** Takes the closing parenthesis; a group that holds nothing but another group is an error. */
  closeGroup(opened: number): void {
    const closed = this.at
    this.expect(')')
    if (this.groupEnds.get(opened + 1) === closed - 1) throw this.error('The expression has redundant parentheses;')
    this.groupEnds.set(opened, closed)
    this.leave()
  }
}
