import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../../examples/backfill/run.mjs', import.meta.url))

interface Compared {
  readonly customers: number
  readonly wrong: number
  readonly strays: number
}

interface Summary {
  readonly wrong: Compared
  readonly beside: Compared
  readonly right: Compared
  readonly revision: number
  readonly pipelines: readonly string[]
}

test('the backfill example finds totals wrong, right in the shadow, and right in the table after the swap', {
  timeout: 300_000,
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--json'])
  const { wrong, beside, right, revision, pipelines } = JSON.parse(stdout) as Summary
  expect(wrong.wrong).toBeGreaterThan(100)
  expect(wrong.strays).toBeGreaterThan(10)
  expect(beside).toMatchObject({ wrong: 0, strays: 0 })
  expect(right).toMatchObject({ wrong: 0, strays: 0 })
  expect(right.customers).toBeGreaterThan(100)
  expect([revision, pipelines]).toEqual([2, ['customerTotals']])
})
