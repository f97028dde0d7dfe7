import { createRequire } from 'node:module'

/** One line of a log: what happened, and fields that a machine can search. */
export interface LogLine {
  (message: string): void
  (fields: object, message: string): void
}

/** Where log lines go. Rooms know this and not the library behind it. */
export interface Logger {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
  child(fields: object): Logger
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** JSON lines on standard error; standard output belongs to results. */
export function createLogger(level: LogLevel): Logger {
  // Loaded when there is something to log to: most commands and programs never do.
  const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino')
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  )
}

const nothing: LogLine = () => {}
/** For tests, and for rooms that nobody listens to. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
}
