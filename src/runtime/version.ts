import { readFileSync } from 'node:fs'

/** The version of this package, from its package.json (the same place from src/ and from dist/). */
export const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
