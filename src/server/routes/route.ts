import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Daemon, Rooms } from '../../daemon/index.js'
import { isFeed, isOutbox, isSnapshot, type Stream } from '../../log/index.js'
import { type ErrorCode, type Metrics, MillraceError } from '../../runtime/index.js'
import type { Exports } from '../export-output.js'

/** What a route is given. */
export interface Call {
  readonly daemon: Daemon
  readonly metrics: Metrics
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  /** The parts of the path that the pattern left open, decoded. */
  readonly names: readonly string[]
  /** Aborted when the daemon begins to stop: waits end then. */
  readonly stopping: AbortSignal
  readonly exports: Exports
  body(): Promise<Buffer>
  json(): Promise<Record<string, unknown>>
}

/** What an answer holds; a route that answers by itself returns undefined. */
export interface Answer {
  readonly status: number
  readonly value: unknown
}

/** One path and method below /v1, with what docs/reference/http.md says of it. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Below `/v1/`; parts in braces are open. */
  readonly path: string
  readonly summary: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: string
  readonly answer: string
  /** Beside BAD_REQUEST, FORBIDDEN, NOT_READY and TOO_LARGE, which any of them may give. */
  readonly errors?: readonly ErrorCode[]
  readonly run: (call: Call) => Promise<Answer | undefined> | Answer
}

export const ok = (value: unknown): Answer => ({ status: 200, value })
export const created = (value: unknown): Answer => ({ status: 201, value })

/** Throws BAD_REQUEST when a body has a member that is not known. */
export function only(body: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new MillraceError('BAD_REQUEST', `The member ${unknown} is not known; there are ${known.join(', ')}.`)
}

/** Throws NOT_FOUND. */
export function streamNamed({ log }: Rooms, name: string | undefined): Stream {
  const stream = log.streamNamed(name as string)
  if (!stream) throw new MillraceError('NOT_FOUND', `There is no stream named ${name}.`)
  return stream
}

/** A stream that may be appended to. Throws NOT_FOUND, CONFLICT. */
export function plainStream(rooms: Rooms, name: string | undefined): Stream {
  const stream = streamNamed(rooms, name)
  if (stream.kind === 'table')
    throw new MillraceError('CONFLICT', `${stream.name} is the change log of a table.`, {
      remedy: 'Write to the table.',
    })
  if (isOutbox(stream)) throw new MillraceError('CONFLICT', `${stream.name} is the outbox of a pipeline.`)
  if (isFeed(stream)) throw new MillraceError('CONFLICT', `${stream.name} belongs to a source of a pipeline.`)
  if (isSnapshot(stream)) throw new MillraceError('CONFLICT', `${stream.name} belongs to a bridge.`)
  return stream
}

/** A whole number of a body. Throws BAD_REQUEST. */
export function wholeNumberOf(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new MillraceError('BAD_REQUEST', `${what} is a whole number, not ${JSON.stringify(value)}.`)
  return value
}

/** A list of a body. Throws BAD_REQUEST. */
export function listOf(value: unknown, what: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new MillraceError('BAD_REQUEST', `${what} is a list.`)
  if (value.length > lengthMax)
    throw new MillraceError('BAD_REQUEST', `${what} has ${value.length} entries; there may be ${lengthMax}.`)
  return value
}

/** An object in a body with no other members than these. Throws BAD_REQUEST. */
export function objectOf(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MillraceError('BAD_REQUEST', `${what} is an object.`)
  only(value as Record<string, unknown>, known)
  return value as Record<string, unknown>
}

/** A whole number of the query. Throws BAD_REQUEST. */
export function numberOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? ''
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new MillraceError('BAD_REQUEST', `${name} is a whole number, not ${JSON.stringify(text)}.`)
  return value
}
