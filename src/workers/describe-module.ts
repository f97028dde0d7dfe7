import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import type { PlanDescription } from '../operators/plan/index.js'
import { type ErrorCode, errorKinds, MillraceError } from '../runtime/index.js'
import { bundleModule } from './bundle.js'
import type { Described } from './describe-worker.js'

/** Longest time that a module may take to load, ms. */
const loadMsMax = 10_000

/**
 * The pipeline that a module exports, described in a thread of its own, without a daemon. Throws MODULE_INVALID or
 * PIPELINE_INVALID, as a deploy would.
 */
export async function describeModule(file: string): Promise<PlanDescription> {
  const bundle = await bundleModule(file)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-module-'))
  // Loaded when it is needed: a daemon has a pool of its own.
  const { Piscina } = createRequire(import.meta.url)('piscina') as typeof import('piscina')
  const pool = new Piscina({ filename: entry(), minThreads: 1, maxThreads: 1 })
  try {
    const bundled = join(folder, 'module.mjs')
    writeFileSync(bundled, bundle)
    const described = await loaded(pool, bundled, file)
    if ('plan' in described) return described.plan
    const { code, message, remedy } = described.error
    const known = code !== undefined && code in errorKinds ? (code as ErrorCode) : 'MODULE_INVALID'
    throw new MillraceError(known, message, { remedy })
  } finally {
    await pool.destroy()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function loaded(pool: Piscina, bundled: string, file: string): Promise<Described> {
  try {
    return (await pool.run(bundled, { name: 'describe', signal: AbortSignal.timeout(loadMsMax) })) as Described
  } catch (error) {
    throw new MillraceError('MODULE_INVALID', `${file} did not load: ${(error as Error).message}.`, {
      cause: error,
      remedy: `A module must load within ${loadMsMax / 1000} s and end neither its thread nor the process.`,
    })
  }
}

function entry(): string {
  const built = fileURLToPath(new URL('./describe-worker.js', import.meta.url))
  // From the sources, as the tests run them, the built one serves.
  return existsSync(built) ? built : fileURLToPath(new URL('../../dist/workers/describe-worker.js', import.meta.url))
}
