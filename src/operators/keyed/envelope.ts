import type { CellName, KeyedContext } from '../task/keyed-operator.js'

/** No state of a user's begins with it. */
const envelopeMark = '\u0000millrace'

/** A cell's content with what is known of it. Times are processing time, milliseconds since 1970. */
export interface Envelope {
  readonly version: number
  readonly value: unknown
  /** When it was written last. */
  readonly writtenAt: number
  /** When the timer that looks at it is due; undefined when there is none. */
  readonly timerAt: number | undefined
}

export function sealed({ version, value, writtenAt, timerAt }: Envelope): unknown {
  return [envelopeMark, version, writtenAt, timerAt ?? null, value]
}

/** What a cell holds, if it is an envelope. */
export function opened(content: unknown): Envelope | undefined {
  if (!Array.isArray(content) || content[0] !== envelopeMark) return undefined
  const [, version, writtenAt, timerAt, value] = content as [string, number, number, number | null, unknown]
  return { version, value, writtenAt, timerAt: timerAt ?? undefined }
}

/** The state in a cell. An envelope may be left from a deploy with a time to live, which this one has not. */
export function stateIn(context: KeyedContext, name?: CellName): unknown {
  const content = context.get(name)
  if (!Array.isArray(content) || content[0] !== envelopeMark) return content
  return (content as unknown[])[4]
}

const timerPrefix = '\u0000ttl'

/** Tags that begin so are no user's. */
export const isReservedTag = (tag: CellName | undefined): tag is string =>
  typeof tag === 'string' && tag.startsWith('\u0000')

/** The tag of the timer that looks at a cell. */
export function timerTagOf(name: CellName | undefined): string {
  if (name === undefined) return timerPrefix
  return `${timerPrefix}${typeof name === 'number' ? 'n' : 's'}${name}`
}

export const isTimerTag = (tag: CellName | undefined): tag is string =>
  typeof tag === 'string' && tag.startsWith(timerPrefix)

/** The cell that such a timer looks at. */
export function cellOfTimerTag(tag: string): CellName | undefined {
  const rest = tag.slice(timerPrefix.length)
  if (rest === '') return undefined
  return rest.startsWith('n') ? Number(rest.slice(1)) : rest.slice(1)
}
