import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function refused(line: string): Promise<{ message: string; remedy: string; code: string }> {
  const path = join(folder, 'module.ts')
  writeFileSync(path, line)
  return bundleModule(path).then(
    () => expect.unreachable(),
    (error) => error,
  )
}

describe('a module that imports what it may not', () => {
  it.each([
    [
      "import { testPipeline } from 'millrace/testing'\nexport default testPipeline",
      /and not millrace\/testing/,
      /test kit/,
    ],
    ["import it from 'not-there'\nexport default it", /module\.ts:1:\d+: Could not resolve "not-there"/, /npm install/],
    ["import it from './not-there.js'\nexport default it", /Could not resolve "\.\/not-there\.js"/, /correct the path/],
    ["import { connect } from 'millrace'\nexport default connect", /for import "connect"/, /a client, for one/],
  ])('%s', async (line, message, remedy) => {
    const error = await refused(line)
    expect(error.code).toBe('MODULE_INVALID')
    expect(error.message).toMatch(message)
    expect(error.remedy).toMatch(remedy)
  })
})
