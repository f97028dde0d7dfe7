import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const folder = fileURLToPath(new URL('../../examples/todo/', import.meta.url))

test('the to-do example does in two regions what it should, as it finds by itself', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'run.mjs'), '--json'])
  expect(JSON.parse(stdout)).toEqual({ regions: ['us-east-1', 'eu-west-1'], archived: 1 })
})
