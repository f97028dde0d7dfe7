// A daemon of its own with what the benchmarks of pipelines ask of it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { RawClient } from './raw-client.mjs'

export class PipelineDaemon {
  #child
  #port
  /** Connections that nothing is asked on. */
  #free = []

  constructor(child, port) {
    this.#child = child
    this.#port = port
  }

  static async start(data, env = {}) {
    const main = new URL('../dist/cli/main.cjs', import.meta.url).pathname
    const child = spawn(process.execPath, [main, 'serve', '--data', data, '--port', '0'], {
      stdio: ['ignore', 'pipe', process.env.BENCH_LOG ? 'inherit' : 'ignore'],
      env: { ...process.env, ...env },
    })
    // Also where the benchmark fails.
    process.on('exit', () => child.kill('SIGKILL'))
    const port = await new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = /ready http:\/\/[^:]+:(\d+)/.exec(line)
        if (ready) resolve(Number(ready[1]))
      })
    })
    return new PipelineDaemon(child, port)
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  get pid() {
    return this.#child.pid
  }

  async call(method, path, body, type = 'application/json', headers = {}) {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body ?? {}))
    const sent = { 'content-type': type, 'x-millrace': '1', ...headers }
    const client = this.#free.pop() ?? new RawClient(this.#port)
    const answer = await client.request(method, path, sent, bytes)
    this.#free.push(client)
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.body}`)
    return JSON.parse(String(answer.body))
  }

  async text(path) {
    const client = this.#free.pop() ?? new RawClient(this.#port)
    const { body } = await client.request('GET', path, {}, Buffer.alloc(0))
    this.#free.push(client)
    return String(body)
  }

  aws(operation, body) {
    return this.call('POST', '/', body, 'application/x-amz-json-1.0', {
      'x-amz-target': `DynamoDB_20120810.${operation}`,
    })
  }

  table(TableName, key = 'key') {
    return this.aws('CreateTable', {
      TableName,
      AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
  }

  /** Waits until a pipeline is so many records behind at most. */
  async caughtUp(pipeline, lagMax = 0) {
    for (;;) {
      const { lag } = await this.call('GET', `/v1/groups/${encodeURIComponent(`pipeline:${pipeline}`)}`)
      if (lag <= lagMax) return
      const { state, error } = await this.call('GET', `/v1/pipelines/${pipeline}`)
      if (state === 'failed') throw new Error(`The pipeline failed: ${error.message}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async stop() {
    for (const client of this.#free) client.close()
    this.#child.kill('SIGTERM')
    await new Promise((resolve) => this.#child.on('exit', resolve))
  }
}
