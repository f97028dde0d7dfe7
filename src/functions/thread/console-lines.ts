import { format } from 'node:util'

/** Characters of one text that are kept. */
const textMax = 64 * 1024

const levels = { log: 'INFO', info: 'INFO', debug: 'DEBUG', warn: 'WARN', error: 'ERROR', trace: 'TRACE' } as const

export type Level = (typeof levels)[keyof typeof levels] | 'FATAL'

/** Writes lines as Lambda has them: time, request, level, text. */
export type WriteLine = (level: Level, text: string) => void

/** Lines that name the request at whose time they are written; `undefined` before the first. */
export function lineWriter(write: (text: string) => void, requestId: () => string | undefined): WriteLine {
  return (level, text) => {
    const shown = text.length > textMax ? `${text.slice(0, textMax)}... (${text.length} characters)` : text
    write(`${new Date().toISOString()}\t${requestId()}\t${level}\t${shown}\n`)
  }
}

/** What the handler prints goes into the function's log, whatever it prints with, and nothing to the daemon's own output. */
export function captureConsole(line: WriteLine, write: (text: string) => void): void {
  for (const name of Object.keys(levels) as (keyof typeof levels)[])
    console[name] = (...values: unknown[]) => line(levels[name], shown(values))
  process.stdout.write = raw(write)
  process.stderr.write = raw(write)
}

function shown(values: readonly unknown[]): string {
  try {
    return format(...values)
  } catch {
    return 'Something was printed that has no text.'
  }
}

function raw(write: (text: string) => void): typeof process.stdout.write {
  return (chunk: Uint8Array | string, encoding?: unknown, done?: unknown): boolean => {
    const text = (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()).slice(0, textMax)
    if (text !== '') write(text.endsWith('\n') ? text : `${text}\n`)
    const callback = typeof encoding === 'function' ? encoding : done
    if (typeof callback === 'function') process.nextTick(callback as () => void)
    return true
  }
}
