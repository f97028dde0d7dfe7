import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path) => fileURLToPath(new URL(`src/${path}`, import.meta.url))

export default defineConfig({
  // What examples import from the package.
  resolve: {
    alias: [
      { find: /^millrace$/, replacement: source('index.ts') },
      { find: /^millrace\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts', '**/node_modules/**'],
    setupFiles: process.env.MILLRACE_TEST_ONE_SEED === undefined ? [] : ['test/one-seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // What hangs is ended; no test may depend on the speed of the machine.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    reporters: ['default'],
  },
})
