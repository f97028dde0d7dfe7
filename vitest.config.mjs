import { defineConfig } from 'vitest/config'

export default defineConfig({
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
