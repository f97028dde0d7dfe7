import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const folder = fileURLToPath(new URL('../../examples/todo/', import.meta.url))

test('the to-do example does in two regions what it should, as it finds by itself', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'run.mjs'), '--json'])
  expect(JSON.parse(stdout)).toEqual({ regions: ['us-east-1', 'eu-west-1'], tasks: 2, archived: 1 })
})

test('its README names files and commands that are there', () => {
  const text = readFileSync(join(folder, 'README.md'), 'utf8')
  expect(text).toContain('node examples/todo/run.mjs')
  for (const [, path] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) expect(existsSync(join(folder, path!))).toBe(true)
})
