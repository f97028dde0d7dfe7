import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { kafkaAvailable } from '../kafka/broker.mjs'

test.skipIf(!kafkaAvailable())('the example kafka ends with zeros, whatever it killed', async () => {
  const run = fileURLToPath(new URL('../../examples/kafka/run.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [run, '--json'], { timeout: 600_000 })
  expect(JSON.parse(stdout)).toEqual({ writes: 3000, missing: 0, extra: 0, different: 0, lost: 0, repeated: 0 })
})
