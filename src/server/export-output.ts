import type { ServerResponse } from 'node:http'
import { MillraceError, systemClock } from '../runtime/index.js'

export interface ExportLimits {
  /** Exports that are answered at one time. */
  readonly exportsMax: number
  /** An answer of which its client takes nothing for so long is broken off. */
  readonly exportStalledMsMax: number
}

/** Counts the exports under way: each holds some pages of the log until its client has taken them. */
export class Exports {
  readonly #limits: ExportLimits
  #running = 0

  constructor(limits: ExportLimits) {
    this.#limits = limits
  }

  get running(): number {
    return this.#running
  }

  /** Throws TOO_BUSY, and what the work throws. */
  async run(response: ServerResponse, stopping: AbortSignal, work: (output: Output) => Promise<void>): Promise<void> {
    const { exportsMax, exportStalledMsMax } = this.#limits
    if (this.#running >= exportsMax)
      throw new MillraceError('TOO_BUSY', `${exportsMax} exports are being answered already.`, {
        details: { limit: 'http.exportsMax' },
      })
    this.#running++
    try {
      await work(new Output(response, stopping, exportStalledMsMax))
    } finally {
      this.#running--
    }
  }
}

/** An answer that is longer than memory: each write waits until the client has taken what came before. */
export class Output {
  readonly #response: ServerResponse
  readonly #stopping: AbortSignal
  readonly #stalledMsMax: number
  #isStalled = false

  constructor(response: ServerResponse, stopping: AbortSignal, stalledMsMax: number) {
    this.#response = response
    this.#stopping = stopping
    this.#stalledMsMax = stalledMsMax
  }

  begin(type: string): void {
    this.#response.writeHead(200, { 'content-type': type })
  }

  /**
   * Throws NOT_READY when the client is gone or takes nothing, or the daemon stops: the answer breaks off then.
   *
   * @param onSent when the system has taken the bytes, so that they may change; of an answer that broke off it may never be
   */
  async write(piece: Buffer, onSent?: () => void): Promise<void> {
    this.#check()
    const sent = (error: Error | null | undefined): void => {
      if (!error) onSent?.()
    }
    if (!this.#response.write(piece, onSent && sent)) await this.#drained()
    this.#check()
  }

  #check(): void {
    if (this.#stopping.aborted) throw new MillraceError('NOT_READY', 'The daemon is stopping.')
    if (this.#response.destroyed) throw new MillraceError('NOT_READY', 'The client is gone.')
    if (this.#isStalled) throw new MillraceError('NOT_READY', 'The client takes nothing.')
  }

  #drained(): Promise<void> {
    const response = this.#response
    const stopping = this.#stopping
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        response.off('drain', done)
        response.off('close', done)
        stopping.removeEventListener('abort', done)
        resolve()
      }
      const timer = systemClock.setTimeout(() => {
        this.#isStalled = true
        done()
      }, this.#stalledMsMax)
      response.on('drain', done)
      response.on('close', done)
      stopping.addEventListener('abort', done)
    })
  }

  end(): void {
    this.#response.end()
  }
}
