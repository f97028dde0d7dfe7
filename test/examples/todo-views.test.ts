import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../../examples/todo/views.mjs', import.meta.url))

interface Summary {
  readonly counts: Readonly<Record<string, number>>
  readonly newImage: StreamRecord
  readonly keysOnly: StreamRecord
}

interface StreamRecord {
  readonly eventName: string
  readonly dynamodb: Readonly<Record<string, unknown>>
}

test('the to-do example of views counts the tasks of each list and shows exactly what each view promises', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--json'])
  const { counts, newImage, keysOnly } = JSON.parse(stdout) as Summary
  expect(counts).toEqual({ 2: 2, 7: 1 })

  const keys = { ListId: { N: '2' }, TaskId: { S: '1_progress' } }
  expect(newImage.eventName).toBe('INSERT')
  expect(newImage.dynamodb.Keys).toEqual(keys)
  expect(newImage.dynamodb.StreamViewType).toBe('NEW_IMAGE')
  expect(newImage.dynamodb.NewImage).toEqual({
    ...keys,
    Description: { S: 'Share progress' },
    Created_date: { S: '20052021' },
  })
  expect(newImage.dynamodb).not.toHaveProperty('OldImage')

  expect(keysOnly.eventName).toBe('INSERT')
  expect(keysOnly.dynamodb.StreamViewType).toBe('KEYS_ONLY')
  expect(keysOnly.dynamodb.Keys).toEqual(keys)
  expect(keysOnly.dynamodb).not.toHaveProperty('NewImage')
  expect(keysOnly.dynamodb).not.toHaveProperty('OldImage')
})

test('the README of the to-do example names files and commands that are there', () => {
  const folder = fileURLToPath(new URL('../../examples/todo/', import.meta.url))
  const text = readFileSync(join(folder, 'README.md'), 'utf8')
  expect(text).toContain('node examples/todo/run.mjs')
  for (const [, path] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) expect(existsSync(join(folder, path!))).toBe(true)
})
