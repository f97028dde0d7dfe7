import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Compiles dist/ when a source is newer: for tests that start the daemon or a worker as a user does. */
export function ensureBuilt(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../scripts/build.mjs', import.meta.url))], {
    stdio: 'inherit',
  })
}
