import { MillraceError } from '../runtime/index.js'
import type { SearchQuery } from './protocol.js'

export const searchLimitInitial = 10
export const searchLimitMax = 1000
/** Each word costs a look into the index, with its neighbours where they count, too. */
export const queryCharactersMax = 1000

/** As a client gives it: all of it text. */
export interface GivenQuery {
  readonly q: string
  readonly limit?: string | undefined
  /** Paths with commas. */
  readonly fields?: string | undefined
  readonly prefix?: string | undefined
  readonly fuzzy?: string | undefined
  readonly match?: string | undefined
}

/** Throws BAD_REQUEST. */
export function checkQuery({ q, limit, fields, prefix, fuzzy, match }: GivenQuery): SearchQuery {
  if (q.trim() === '') throw bad('A search has words.')
  if (q.length > queryCharactersMax)
    throw bad(`The words of a search may have ${queryCharactersMax} characters; these have ${q.length}.`)
  if (match !== undefined && match !== 'any' && match !== 'all')
    throw bad(`match is any or all, not ${JSON.stringify(match)}.`)
  return {
    text: q,
    limit: limitOf(limit),
    ...(fields === undefined ? {} : { fields: fields.split(',').map((field) => field.trim()) }),
    prefix: flagOf(prefix, 'prefix'),
    fuzzy: fuzzyOf(fuzzy),
    match: match ?? 'any',
  }
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return searchLimitInitial
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= searchLimitMax) return value
  throw bad(`limit is a whole number from 1 to ${searchLimitMax}, not ${JSON.stringify(text)}.`)
}

function flagOf(text: string | undefined, what: string): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true' || text === '') return true
  throw bad(`${what} is true or false, not ${JSON.stringify(text)}.`)
}

/** `true`: a fifth of a word may differ, which is one letter of five and two of eight. */
const fuzzyUsual = 0.2

function fuzzyOf(text: string | undefined): number {
  if (text === undefined || text === 'false') return 0
  if (text === 'true' || text === '') return fuzzyUsual
  const value = Number(text)
  if (/^(0(\.\d+)?|1|2)$/.test(text)) return value
  throw bad(`fuzzy is true, a number of edits (0, 1 or 2) or a part of a word below 1, not ${JSON.stringify(text)}.`)
}

const bad = (message: string): MillraceError => new MillraceError('BAD_REQUEST', message)
