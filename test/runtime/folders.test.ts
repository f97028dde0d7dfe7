import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../src/runtime/index.js'
import { temporaryFolder } from '../temporary-folder.js'

test('a folder is made with those above it, and one that is there stays', () => {
  const path = join(temporaryFolder(), 'a', 'b', 'c')
  makeFolder(path)
  makeFolder(path)
  expect(statSync(path).isDirectory()).toBe(true)
})

// `mkdir` with `recursive` would never return here.
test.runIf(existsSync('/proc/self'))('where no folder can be made it says so', () => {
  expect(() => makeFolder('/proc/millrace/data')).toThrow('ENOENT')
})
