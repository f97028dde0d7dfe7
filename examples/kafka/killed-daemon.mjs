// A daemon on a folder of its own that may be killed at any time, and what asks it waits until it is there again.
import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))

export class KilledDaemon {
  #data
  #child
  #ended
  #url

  constructor(data) {
    this.#data = data
  }

  async start() {
    const child = spawn(process.execPath, [main, 'serve', '--data', this.#data, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#child = child
    this.#ended = new Promise((resolve) => child.once('exit', resolve))
    this.#url = await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = /^millrace ready (http:\S+)$/.exec(line)
        if (ready) resolve(ready[1])
      })
      this.#ended.then((code) => reject(new Error(`the daemon ended with ${code} before it was ready`)))
    })
  }

  async restart() {
    this.#child.kill('SIGKILL')
    await this.#ended
    await this.start()
  }

  async stop() {
    this.#child?.kill('SIGTERM')
    await this.#ended
  }

  millrace(args) {
    return execFileSync(process.execPath, [main, ...args, '--url', this.#url], { encoding: 'utf8' })
  }

  async createTable(name) {
    await this.aws('CreateTable', {
      TableName: name,
      AttributeDefinitions: [{ AttributeName: 'order', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'order', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    })
  }

  /** Asks until there is an answer. */
  async aws(operation, input) {
    for (;;) {
      try {
        const response = await fetch(this.#url, {
          method: 'POST',
          headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` },
          body: JSON.stringify(input),
        })
        const answer = await response.json()
        if (response.ok) return answer
        if (response.status < 500) throw new Error(`${operation}: ${JSON.stringify(answer)}`, { cause: 'refused' })
      } catch (error) {
        if (error.cause === 'refused') throw error
      }
      await sleep(50)
    }
  }

  /** Every item as JSON, by its key. */
  async items(table) {
    const items = new Map()
    let start
    do {
      const page = await this.aws('Scan', { TableName: table, ExclusiveStartKey: start })
      for (const item of page.Items) items.set(item.order.S, inOrder(item))
      start = page.LastEvaluatedKey
    } while (start)
    return items
  }

  /** What became of each item, one change after the other, by its key. */
  async changes(table) {
    const response = await fetch(`${this.#url}/v1/streams/table:${table}/export`, {
      headers: { accept: 'application/x-ndjson', 'x-millrace': '1' },
    })
    const lines = (await response.text()).split('\n').filter((line) => line !== '')
    const changes = new Map()
    for (const { keys, new: item } of lines.map((line) => JSON.parse(line))) {
      const order = keys.order.S
      if (!changes.has(order)) changes.set(order, [])
      changes.get(order).push(item ? inOrder(item) : 'deleted')
    }
    return changes
  }
}

const inOrder = (item) => JSON.stringify(Object.entries(item).sort())
