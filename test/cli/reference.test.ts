import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'

beforeAll(ensureBuilt)

test('the reference pages and config/ say what the code says', () => {
  const script = fileURLToPath(new URL('../../scripts/reference.mjs', import.meta.url))
  const { stdout, status } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  expect([stdout, status]).toEqual(['', 0])
})
