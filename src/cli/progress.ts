import { createRequire } from 'node:module'
import type { SingleBar } from 'cli-progress'

/** What is done sooner needs no bar. */
const afterMs = 2000

/** A bar with rate and time left on standard error, for what takes over two seconds, and only on a terminal. */
export class Progress {
  readonly #what: string
  readonly #bytes: number | undefined
  readonly #began = performance.now()
  #bar: SingleBar | undefined

  readonly #unit: string

  /**
   * @param bytes how many there are to come, where that is known
   * @param unit what is counted beside them
   */
  constructor(what: string, bytes: number | undefined, unit = 'records') {
    this.#what = what
    this.#bytes = bytes
    this.#unit = unit
  }

  update(bytes: number, records: number): void {
    const elapsedMs = performance.now() - this.#began
    if (!process.stderr.isTTY || elapsedMs < afterMs) return
    const payload = { records, rate: Math.round((records * 1000) / elapsedMs) }
    this.#bar ??= this.#start(payload)
    this.#bar.update(bytes, payload)
  }

  #start(payload: object): SingleBar {
    const counts = `{records} ${this.#unit} | {rate}/s`
    const format =
      this.#bytes === undefined
        ? `${this.#what} ${counts} | {duration_formatted}`
        : `${this.#what} {bar} {percentage}% | ${counts} | {eta_formatted} left`
    const options = { format, stream: process.stderr, hideCursor: true, etaBuffer: 100 }
    const { SingleBar, Presets } = createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress')
    const bar = new SingleBar(options, Presets.shades_classic)
    bar.start(this.#bytes ?? 0, 0, payload)
    return bar
  }

  stop(): void {
    this.#bar?.stop()
  }
}
