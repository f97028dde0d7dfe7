import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../runtime/index.js'

/** A start that takes longer is a failed one. An empty directory takes less than a second; a busy machine many times that. */
const readyMsMax = 60_000
const stopMsMax = 30_000
/** How much of the daemon's log an error shows. */
const logTailCharactersMax = 4_000

/** It is on loopback and for this demo alone, whatever the daemon that this machine is configured for wants. */
const withoutCredentials = {
  MILLRACE_AUTH_KEYS: '',
  MILLRACE_AUTH_KEYS_FILE: '',
  MILLRACE_AUTH_TOKEN: '',
  MILLRACE_AUTH_TOKEN_FILE: '',
}

const main = fileURLToPath(new URL('../cli/main.cjs', import.meta.url))

export interface DaemonOptions {
  readonly data: string
  readonly logPath: string
  /** Whether it may go on when this process ends, and so must not get this terminal's Ctrl-C. */
  readonly outlives: boolean
}

/** The demo's daemon: a process of its own, on one data directory, that can be killed and started again. */
export class Daemon {
  readonly data: string
  readonly logPath: string
  readonly #outlives: boolean
  #child: ChildProcess | undefined
  #url = ''
  #starting: Promise<void>
  #failure: MillraceError | undefined

  constructor(options: DaemonOptions) {
    this.data = options.data
    this.logPath = options.logPath
    this.#outlives = options.outlives
    this.#starting = Promise.resolve()
    // An older log at this place would be taken for this demo's.
    writeFileSync(this.logPath, '')
  }

  /** `http://127.0.0.1:PORT`; another one after each start. */
  get url(): string {
    return this.#url
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Everything that the daemons of this demo have written: structured log lines. */
  log(): string {
    return readFileSync(this.logPath, 'utf8')
  }

  /** Resolves when there is a daemon that says it is ready; rejects when it has ended without being told to. */
  async ready(): Promise<void> {
    await this.#starting
    if (this.#failure) throw this.#failure
  }

  start(): Promise<void> {
    this.#starting = this.#start()
    // Whoever waits for `ready` gets the error; until then it is nobody's.
    this.#starting.catch(() => undefined)
    return this.#starting
  }

  async #start(): Promise<void> {
    // Its output goes to a file, not to a pipe: with --keep the daemon outlives this process.
    const log = openSync(this.logPath, 'a')
    const logged = this.#logLength()
    const child = spawn(process.execPath, [main, 'serve', '--data', this.data, '--port', '0'], {
      stdio: ['ignore', log, log],
      detached: this.#outlives,
      env: { ...process.env, ...withoutCredentials },
    })
    closeSync(log)
    this.#child = child
    child.once('exit', (code, signal) => {
      if (this.#child !== child) return
      this.#child = undefined
      this.#failure = this.#ended(code === null ? `by ${signal}` : `with exit code ${code}`)
    })
    child.once('error', (error) => {
      this.#child = undefined
      this.#failure = this.#ended(error.message)
    })
    const deadline = performance.now() + readyMsMax
    for (;;) {
      const ready = /^millrace ready (http:\S+)$/m.exec(this.log().slice(logged))
      if (ready) {
        this.#url = ready[1]!
        return
      }
      if (this.#failure) throw this.#failure
      if (performance.now() > deadline) throw this.#ended(`without being ready after ${readyMsMax} ms`)
      await sleep(5)
    }
  }

  #logLength(): number {
    return this.log().length
  }

  #ended(how: string): MillraceError {
    return new MillraceError('UNREACHABLE', `The daemon ended ${how}:\n${this.log().slice(-logTailCharactersMax)}`, {
      remedy: `Its whole log is ${this.logPath}.`,
    })
  }

  /** SIGKILL at this very moment. `restarted` starts another daemon on the same directory. */
  kill(): { readonly restarted: Promise<void> } {
    const child = this.#child
    if (child === undefined) throw new MillraceError('CONFLICT', 'There is no daemon to kill.')
    child.kill('SIGKILL')
    this.#child = undefined
    this.#starting = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(() => this.#start())
    this.#starting.catch(() => undefined)
    return { restarted: this.#starting }
  }

  /** A graceful stop; returns the exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return 0
    this.#child = undefined
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
    const code = await ended
    clearTimeout(timer)
    return code
  }

  /** The last resort when this process ends early. */
  destroy(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  /** Leaves the daemon running when this process ends. */
  leave(): void {
    this.#child?.unref()
  }
}
