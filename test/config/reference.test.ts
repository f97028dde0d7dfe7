import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { leaves } from '../../src/config/index.js'
import { errorKinds } from '../../src/runtime/index.js'
import { routes } from '../../src/server/index.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const textOf = (path: string): string => readFileSync(`${root}${path}`, 'utf8')

test('nothing is without a word of what it is', () => {
  expect(leaves.filter(({ description }) => description === '').map(({ path }) => path)).toEqual([])
  const configuration = textOf('docs/reference/configuration.md')
  for (const { path, variable } of leaves) {
    expect(configuration).toContain(`\`${path}\``)
    expect(configuration).toContain(`\`${variable}\``)
  }
  const errors = textOf('docs/reference/errors.md')
  for (const code of Object.keys(errorKinds)) expect(errors).toContain(`| \`${code}\` |`)
  const http = textOf('docs/reference/http.md')
  for (const { method, path } of routes) expect(http).toContain(`\`${method} /v1/${path}\``)
})

test('an editor that has the JSON schema takes the file of the project, and marks what the daemon refuses', () => {
  const schema = z.fromJSONSchema(
    JSON.parse(textOf('config/millrace.schema.json')) as Parameters<typeof z.fromJSONSchema>[0],
  )
  const check = (text: string): boolean => schema.safeParse(parseDocument(text).toJS() as unknown).success
  expect(check(textOf('config/millrace.yaml'))).toBe(true)
  expect(check('listen: {port: 1}')).toBe(true)
  for (const text of [
    'listen: {prt: 1}',
    'lsten: {}',
    'listen: {port: 70000}',
    'logLevel: loud',
    'http: {pollMsMax: -1}',
  ])
    expect(check(text), text).toBe(false)
})
