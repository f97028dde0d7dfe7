// What the examples share: a daemon of their own, on an empty temporary folder, that is stopped at the end.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const main = join(root, 'dist', 'cli', 'main.cjs')
/** The longest answer of a command: all records of a small stream. */
const answerBytesMax = 64 * 1024 * 1024

/** A number from 0 to 1 at each call, the same ones for the same seed (mulberry32). */
export function randomFrom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Starts a daemon, gives `use` a function that runs `millrace` commands with it, and stops it whatever happens. */
export async function withDaemon(name, use) {
  execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 2, 2] })
  const data = mkdtempSync(join(tmpdir(), `millrace-${name}-`))
  const daemon = spawn(process.execPath, [main, 'serve', '--data', data, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise((resolve) => daemon.once('exit', resolve))
  try {
    const url = await readyUrl(daemon, ended)
    const millrace = (args, input) =>
      execFileSync(process.execPath, [main, ...args, '--url', url], {
        input: input ?? '',
        encoding: 'utf8',
        maxBuffer: answerBytesMax,
        stdio: ['pipe', 'pipe', 'inherit'],
      })
    return await use(millrace)
  } finally {
    daemon.kill('SIGTERM')
    await ended
    rmSync(data, { recursive: true, force: true })
  }
}

function readyUrl(daemon, ended) {
  return new Promise((resolve, reject) => {
    createInterface({ input: daemon.stdout }).on('line', (line) => {
      const ready = /^millrace ready (http:\S+)$/.exec(line)
      if (ready) resolve(ready[1])
    })
    ended.then((code) => reject(new Error(`the daemon ended with ${code} before it was ready`)))
  })
}

/** Records as the command `append` takes them, one a line. */
export const linesOf = (records) => records.map((record) => `${JSON.stringify(record)}\n`).join('')

/** The records of a stream, as soon as there are as many as expected. */
export async function recordsOf(millrace, stream, expected, waitMs = 60_000) {
  for (const end = Date.now() + waitMs; ; ) {
    const records = millrace(['tail', stream, '--from', 'oldest', '--no-follow'])
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
    if (records.length >= expected) return records
    if (Date.now() > end) throw new Error(`${stream} has ${records.length} records instead of ${expected}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
