import { Presets, SingleBar } from 'cli-progress'

const afterMs = 2000

/** A progress bar with rate and time left on standard error, on a terminal and for what takes over two seconds. */
export class Progress {
  readonly #what: string
  readonly #total: number
  readonly #began = performance.now()
  #bar: SingleBar | undefined

  constructor(what: string, total: number) {
    this.#what = what
    this.#total = total
  }

  update(done: number): void {
    const elapsed = performance.now() - this.#began
    if (!this.#bar && process.stderr.isTTY && elapsed > afterMs) {
      const format = `${this.#what} {bar} {percentage}% | {value}/{total} | {rate}/s | {eta_formatted} left`
      this.#bar = new SingleBar(
        { format, stream: process.stderr, hideCursor: true, etaBuffer: 100 },
        Presets.shades_classic,
      )
      this.#bar.start(this.#total, done, { rate: 0 })
    }
    this.#bar?.update(done, { rate: Math.round((done * 1000) / elapsed) })
  }

  stop(): void {
    this.#bar?.stop()
  }
}
