import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer } from 'vitest/node'

const source = (path) => fileURLToPath(new URL(`src/${path}`, import.meta.url))

/** What takes longest, which begins first: a run waits for its last file. */
const long = [
  'kafka/chaos',
  'faults/kill-points',
  'demo/demo',
  'kafka/real-broker',
  'cli/commands',
  'console/console',
  'backup/backup',
  'package/package',
  'docs/guides',
  'balance/simulation',
].map((name) => `/test/${name}.test.ts`)

class LongestFirst extends BaseSequencer {
  async sort(files) {
    const place = ({ moduleId }) => long.findIndex((name) => moduleId.endsWith(name))
    const sorted = await super.sort(files)
    const first = sorted.filter((file) => place(file) >= 0).sort((a, b) => place(a) - place(b))
    return [...first, ...sorted.filter((file) => place(file) < 0)]
  }
}

/** Files that change what the others of a worker import, and those that take so long that their imports are nothing beside it. */
const alone = ['test/kafka/platformatic-connections.test.ts', 'test/**/*.long.test.ts']

/** What takes a quarter to a whole minute each, most of it waiting for kills and servers: `npm test` leaves it to `npm run test:long`. */
const slow = [
  'backup/export',
  'cli/bench',
  'cli/ephemeral',
  'cli/in-flight',
  'client/faults',
  'demo/kafka',
  'faults/expiry',
  'faults/full-disk',
  'faults/index-kill',
  'faults/input-output-error',
  'faults/kill',
  'faults/transactions',
  'kafka/bad-input',
  'kafka/sink',
  'pipelines/outside-redeploy',
  'power/power',
  'search/open-search-server',
].map((name) => `test/${name}.test.ts`)

/**
 * The files of a worker share what they import, which is a third of the time that they would take alone: so none may leave anything
 * behind in its process.
 * @param left tests that are left out
 */
export const projects = (left) => [
  { extends: true, test: { name: 'rooms', include: ['test/**/*.test.ts'], exclude: [...left, ...alone], isolate: false } },
  { extends: true, test: { name: 'alone', include: alone, exclude: left } },
]

export default defineConfig({
  // What examples import from the package.
  resolve: {
    alias: [
      { find: /^millrace$/, replacement: source('index.ts') },
      { find: /^millrace\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    projects: projects([
      'test/**/*.long.test.ts',
      '**/node_modules/**',
      ...(process.env.MILLRACE_TEST_SHORT === undefined ? [] : slow),
    ]),
    setupFiles: process.env.MILLRACE_TEST_ONE_SEED === undefined ? [] : ['test/one-seed.ts'],
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    maxWorkers: 3,
    // What hangs is ended; no test may depend on the speed of the machine.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    reporters: ['default'],
  },
})
