import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

let isBuilt = false

/** Compiles dist/ when a source is newer: for tests that start the daemon or a worker as a user does. */
export function ensureBuilt(): void {
  if (isBuilt) return
  execFileSync(process.execPath, [fileURLToPath(new URL('../scripts/build.mjs', import.meta.url))], {
    stdio: 'inherit',
  })
  isBuilt = true
}
