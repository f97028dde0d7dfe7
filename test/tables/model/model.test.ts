import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'vitest'
import { temporaryFolder } from '../../temporary-folder.js'
import { MemoryBackend } from './memory-backend.js'
import { stepsOf } from './steps.js'
import { viewTypes } from './stream.js'
import { runSteps } from './whole-run.js'

const isLong = process.env.MILLRACE_LONG !== undefined
const numRuns = isLong ? 2000 : 25

for (const hasRange of [false, true]) {
  test(`tables ${hasRange ? 'with' : 'without'} a sort key answer as the model does, and their streams tell its history`, async () => {
    const folder = temporaryFolder()
    await fc.assert(
      fc.asyncProperty(stepsOf(hasRange), fc.constantFrom(...viewTypes), fc.nat(), async (steps, view, seed) => {
        const isIndexed = seed % 3 > 0
        const backend = await MemoryBackend.open(mkdtempSync(join(folder, 'run-')))
        try {
          await runSteps(backend, { hasRange, steps, view, seed, isIndexed })
        } finally {
          backend.close()
        }
      }),
      { numRuns },
    )
  })
}
