import cliProgress from 'cli-progress'
import pico from 'picocolors'

/** All that the demo says in colour goes to standard error: colour only when that is a terminal. */
export const pc = pico.createColors(pico.isColorSupported && process.stderr.isTTY === true)

/** Between two lines of a phase where there is no terminal to draw a bar on. */
const lineEveryMs = 10_000
const titleWidth = 24
const showCursor = '\x1b[?25h'

export interface PhaseResult {
  readonly count: number
  readonly seconds: number
  readonly perSecond: number
}

/** A part of the demo that a person may have to wait for: a bar on a terminal, lines elsewhere, all on stderr. */
export class Phase {
  readonly #title: string
  readonly #unit: string
  readonly #total: number
  readonly #began = performance.now()
  readonly #bar: cliProgress.SingleBar | undefined
  #done = 0
  #lineAt = performance.now() + lineEveryMs

  constructor(title: string, total: number, unit: string) {
    this.#title = title
    this.#total = total
    this.#unit = unit
    if (!process.stderr.isTTY) return
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
      etaBuffer: 50,
      format: `${title.padEnd(titleWidth)} {bar} {percentage}% | {value}/{total} ${unit} | {rate}/s | {eta_formatted} left`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
    })
    this.#bar.start(total, 0, { rate: 0 })
    // Ctrl-C ends the process from elsewhere; the terminal must not be left without its cursor.
    process.once('exit', restoreCursor)
  }

  update(done: number): void {
    this.#done = done
    if (this.#bar) {
      this.#bar.update(Math.min(done, this.#total), { rate: count(this.#result().perSecond) })
    } else if (performance.now() > this.#lineAt) {
      this.#lineAt = performance.now() + lineEveryMs
      say(`${this.#title.padEnd(titleWidth)} ${count(done)} of ${count(this.#total)} ${this.#unit}, ${this.#rate()}`)
    }
  }

  end(): PhaseResult {
    const result = this.#result()
    this.abandon()
    say(
      `${pc.green('✓')} ${this.#title.padEnd(titleWidth)} ${count(result.count)} ${this.#unit} in ${result.seconds.toFixed(1)} s, ${this.#rate()}`,
    )
    return result
  }

  /** Runs the work of the phase; an error takes the bar away. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.abandon()
      throw error
    }
  }

  /** Takes the bar away without a word. */
  abandon(): void {
    this.#bar?.stop()
    process.removeListener('exit', restoreCursor)
  }

  #result(): PhaseResult {
    const seconds = (performance.now() - this.#began) / 1000
    return { count: this.#done, seconds, perSecond: Math.round(this.#done / Math.max(seconds, 0.001)) }
  }

  #rate(): string {
    return `${count(this.#result().perSecond)}/s`
  }
}

function restoreCursor(): void {
  process.stderr.write(`\n${showCursor}`)
}

/** A line for people. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** 1234567 as 1,234,567. */
export const count = (number: number): string => number.toLocaleString('en-US')
