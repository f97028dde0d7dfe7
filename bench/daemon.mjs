// A daemon of its own process for a benchmark, and the few requests that set one up.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { RawClient } from './raw-client.mjs'

const main = new URL('../dist/cli/main.cjs', import.meta.url).pathname
const json = { 'content-type': 'application/json', 'x-millrace': '1' }

export class BenchDaemon {
  #child
  port
  /** Takes each line that it prints once it is ready. */
  onLine = () => {}

  /** Resolves when it is ready; `readySeconds` says after how long. */
  static async start(data, env = {}, nodeArguments = []) {
    const daemon = new BenchDaemon()
    const began = performance.now()
    daemon.#child = spawn(process.execPath, [...nodeArguments, main, 'serve', '--data', data, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, MILLRACE_LOG_LEVEL: 'warn', ...env },
    })
    process.once('exit', () => daemon.#child.kill('SIGKILL'))
    daemon.port = await new Promise((resolve, reject) => {
      createInterface({ input: daemon.#child.stdout }).on('line', (line) => {
        const ready = /ready http:\/\/[^:]+:(\d+)/.exec(line)
        if (ready) resolve(Number(ready[1]))
        else daemon.onLine(line)
      })
      daemon.#child.once('exit', (code) => reject(new Error(`the daemon ended with ${code}`)))
    })
    daemon.readySeconds = (performance.now() - began) / 1000
    return daemon
  }

  get pid() {
    return this.#child.pid
  }

  async v1(method, path, body) {
    const client = new RawClient(this.port)
    const answer = await client.request(method, `/v1/${path}`, json, Buffer.from(body ? JSON.stringify(body) : ''))
    client.close()
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body)
  }

  /** Appends the same binary batch over several connections until `isOver`; milliseconds of each request. */
  async append(stream, batch, connections, isOver) {
    const headers = { 'content-type': 'application/octet-stream', 'x-millrace': '1' }
    const times = []
    await Promise.all(
      Array.from({ length: connections }, async () => {
        const client = new RawClient(this.port)
        while (!isOver(times.length)) {
          const began = performance.now()
          const answer = await client.request('POST', `/v1/streams/${stream}/records`, headers, batch)
          if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`)
          times.push(performance.now() - began)
        }
        client.close()
      }),
    )
    return times
  }

  async #end(signal) {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill(signal)
    await ended
  }

  stop() {
    return this.#end('SIGTERM')
  }

  kill() {
    return this.#end('SIGKILL')
  }
}
