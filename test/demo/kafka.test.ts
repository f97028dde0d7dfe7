import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { writesOf } from '../../src/demo/expectation.js'
import { ensureBuilt } from '../built.js'
import { kafkaAvailable, startBroker } from '../kafka/broker.mjs'

ensureBuilt()
const main = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))

test.skipIf(!kafkaAvailable())('with a real broker and kills every change arrives in the topic', async () => {
  const rows = 3000
  const broker = await startBroker()
  try {
    const args = [main, 'demo', '--rows', String(rows), '--kafka', broker.address, '--kill']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const writes = writesOf(rows)
    const line = /^kafka: (\d+) delivered, (\d+) distinct by event id, (\d+) missing/m.exec(stdout)
    expect(line).not.toBeNull()
    const [delivered, distinct, missing] = line!.slice(1).map(Number)
    expect(distinct).toBe(writes)
    expect(missing).toBe(0)
    expect(delivered).toBeGreaterThanOrEqual(writes)
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/0 lost, 0 duplicated, 0 wrong$/)
  } finally {
    await broker.close()
  }
})
