import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** After so long what a page shows is not to come any more. */
const waitMsMax = 120_000

/** Commands of a page, and what it shows below them. */
export interface Commands {
  readonly line: number
  readonly script: string
  /** Lines that must come in this order, others may come in between; `…` stands for anything. */
  readonly shown: readonly string[]
  /** What is shown comes by and by (`sh eventually`): the commands may be given again until it does. */
  readonly isEventual: boolean
  /** A daemon that a reader starts in a terminal of its own (`sh daemon`). */
  readonly isDaemon: boolean
}

/** All `sh` blocks of a page in their order, each with the `text` block that follows it at once. */
export function commandsOf(page: string): readonly Commands[] {
  return [...page.matchAll(/^```sh( \w+)?\n([\s\S]*?)^```$(?:\n\n```text\n([\s\S]*?)^```$)?/gm)].map((match) => {
    const [, info = '', script = '', shown = ''] = match
    if (info !== '' && info !== ' eventually' && info !== ' daemon') throw new Error(`A block says sh${info}.`)
    return {
      line: page.slice(0, match.index).split('\n').length,
      script,
      shown: shown.split('\n').filter((line) => line.trim() !== ''),
      isEventual: info === ' eventually',
      isDaemon: info === ' daemon',
    }
  })
}

/** The first line that is not there after those before it, or undefined. White space counts as one blank. */
export function missingLine(shown: readonly string[], output: string): string | undefined {
  const lines = output.split('\n').map(blanks)
  let at = 0
  for (const line of shown) {
    const parts = blanks(line)
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const form = new RegExp(`^${parts.join('.*')}$`)
    while (at < lines.length && !form.test(lines[at] as string)) at++
    if (at++ >= lines.length) return line
  }
  return undefined
}

const blanks = (line: string): string => line.trim().replace(/\s+/g, ' ')

/** A shell in a folder of its own, in which `millrace` is what was built here, and examples/ is there. */
export class Shell {
  readonly #child: ChildProcess
  readonly #folder: string
  #output = ''
  #blocks = 0

  constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder
    for (const name of ['examples', 'node_modules']) symlinkSync(join(root, name), join(folder, name))
    const programs = join(folder, '.bin')
    mkdirSync(programs)
    const main = join(root, 'dist', 'cli', 'main.cjs')
    writeFileSync(join(programs, 'millrace'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 })
    const path = `${programs}:${join(process.execPath, '..')}:${process.env.PATH}`
    // A group of its own, so that what a page leaves running ends with it.
    this.#child = spawn('bash', ['--noprofile', '--norc'], {
      cwd: folder,
      detached: true,
      env: { ...process.env, ...environment, PATH: path, LC_ALL: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.#output += data.toString()
    })
    // A command that fails is noted whatever comes behind it.
    this.#child.stdin?.write(`set -E -o pipefail; trap 'failed="$BASH_COMMAND"' ERR; exec 2>&1\n`)
  }

  /** Runs commands as if they were typed; gives what they print, and the last one that failed. */
  async #run(script: string): Promise<{ readonly output: string; readonly failed: string | undefined }> {
    const file = join(this.#folder, `.block-${++this.#blocks}`)
    writeFileSync(file, script)
    const end = `@@ end ${this.#blocks} `
    this.#output = ''
    this.#child.stdin?.write(`failed=; . '${file}' </dev/null; printf '\\n${end}%s\\n' "$failed"\n`)
    const form = new RegExp(`^${end}(.*)\\n`, 'm')
    for (const until = Date.now() + waitMsMax; ; await sleep(10)) {
      const ended = form.exec(this.#output)
      if (ended === null && this.#child.exitCode === null && Date.now() < until) continue
      const output = this.#output.slice(0, ended?.index)
      if (ended === null) throw new Error(`These commands did not end:\n${script}\n${output}`)
      return { output, failed: ended[1] || undefined }
    }
  }

  /** Runs a block of a page and throws where what the page shows does not come. */
  async follow({ script, shown, isEventual, line }: Commands): Promise<void> {
    for (const until = Date.now() + (isEventual ? waitMsMax : 0); ; await sleep(300)) {
      const { output, failed } = await this.#run(script)
      const missing = failed === undefined ? missingLine(shown, output) : `(${failed} fails)`
      if (missing === undefined) return
      if (Date.now() < until) continue
      throw new Error(`Line ${line}: after\n${script}there should be\n  ${missing}\nand there was\n${output}`)
    }
  }

  close(): void {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) process.kill(-this.#child.pid, 'SIGKILL')
  }
}
