import { createRequire, isBuiltin } from 'node:module'
import { format } from 'node:util'

export type TextLevel = 'debug' | 'info' | 'warn' | 'error'

export interface SurroundingsOptions {
  /** What user code prints, whatever it prints with. */
  readonly onText: (level: TextLevel, text: string) => void
  /** What user code throws outside of any step: from a timer, or from a promise that nobody awaited. */
  readonly onThrown: (error: unknown) => void
}

/** Characters of one printed text that are kept. */
const textMax = 10_000
/** Printed texts within a second; later ones are counted and dropped, since the main thread has to take each. */
const textsPerSecondMax = 200

/**
 * Gives a thread the surroundings that user code meets: what it prints goes to the daemon's log and never to its standard
 * output, and neither an exit nor an error that nobody catches takes the thread from the other pipelines.
 */
export function surround({ onText, onThrown }: SurroundingsOptions): void {
  const print = bounded(onText)
  for (const level of ['debug', 'info', 'log', 'warn', 'error'] as const) {
    console[level] = (...values: unknown[]) => print(level === 'log' ? 'info' : level, shown(values))
  }
  process.stdout.write = writer((text) => print('info', text))
  process.stderr.write = writer((text) => print('warn', text))
  process.exit = (code?: number | string | null) => {
    throw new Error(`process.exit(${code ?? ''}) was called: a pipeline cannot end its thread.`)
  }
  process.on('uncaughtException', onThrown)
  process.on('unhandledRejection', onThrown)
  giveRequire()
}

/** Packages that are bundled from CommonJS ask for Node's own modules with `require`, which ES modules have not. */
export function giveRequire(): void {
  const require = createRequire(import.meta.url)
  Object.assign(globalThis, {
    require: (name: string): unknown => {
      if (!isBuiltin(name)) throw new Error(`Cannot find module '${name}': it was not bundled.`)
      return require(name)
    },
  })
}

function shown(values: readonly unknown[]): string {
  try {
    return format(...values)
  } catch {
    return 'Something was printed that has no text.'
  }
}

function bounded(onText: SurroundingsOptions['onText']): SurroundingsOptions['onText'] {
  let second = 0
  let texts = 0
  return (level, text) => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) {
      if (texts > textsPerSecondMax)
        onText('warn', `${texts - textsPerSecondMax} more texts were printed within one second and are dropped`)
      second = now
      texts = 0
    }
    if (++texts <= textsPerSecondMax) onText(level, text.slice(0, textMax))
  }
}

function writer(print: (text: string) => void): typeof process.stdout.write {
  return (chunk: Uint8Array | string, encoding?: unknown, done?: unknown): boolean => {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    if (text !== '') print(text.trimEnd())
    const callback = typeof encoding === 'function' ? encoding : done
    if (typeof callback === 'function') process.nextTick(callback as () => void)
    return true
  }
}
