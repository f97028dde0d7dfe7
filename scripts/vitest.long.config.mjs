import { defineConfig } from 'vitest/config'
import config, { projects } from '../vitest.config.mjs'

/** The same tests, and those that take longer than a change may wait for. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    projects: projects(['**/node_modules/**']),
    testTimeout: 30 * 60_000,
    hookTimeout: 10 * 60_000,
  },
})
