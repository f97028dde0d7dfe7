import { ValidationError } from '../values/index.js'

/** A statement that cannot be read: AWS's words, with what is wrong behind the colon, if it says so. */
export const notWellFormed = (detail: string): ValidationError =>
  new ValidationError(`Statement wasn't well formed, can't be processed: ${detail}`)

/** Where in a statement's text something stands. */
export interface Place {
  /** UTF-16 units from the start of the text. */
  readonly start: number
  readonly end: number
}

/** A place as AWS writes it: line, column and length, in characters, the first two from 1. */
export function describePlace(text: string, { start, end }: Place): string {
  let line = 1
  let lineStart = 0
  for (let at = text.indexOf('\n'); at >= 0 && at < start; at = text.indexOf('\n', at + 1)) {
    line++
    lineStart = at + 1
  }
  return `${line}:${characters(text, lineStart, start) + 1}:${characters(text, start, end)}`
}

function characters(text: string, from: number, to: number): number {
  let count = 0
  for (const _ of text.slice(from, to)) count++
  return count
}
