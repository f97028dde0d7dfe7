import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import '../../examples/testing/order-totals.test.js'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe('docs/testing.md', () => {
  it.each(['examples/testing/order-totals.ts', 'examples/testing/order-totals.test.ts'])(
    'shows %s as it is run',
    (path) => {
      expect(read('docs/testing.md')).toContain(`\`\`\`ts\n${read(path)}\`\`\``)
    },
  )
})
