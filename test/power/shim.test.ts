import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.js'
import { durableImage, lookBefore } from './durable-image.js'
import { compileShim, shimEnvironment } from './shim.js'

const library = compileShim()

/** Runs a script below the shim and gives the folder that a disk would hold; nothing unsynced survives by default. */
function after(script: string, random: () => number = () => 0): string {
  const folder = temporaryFolder()
  const root = join(folder, 'root')
  mkdirSync(root)
  const journal = join(folder, 'journal')
  const before = lookBefore(root)
  const text = `const fs = require('fs'), path = require('path'); process.chdir(${JSON.stringify(root)}); const at = (name) => path.join(process.cwd(), name); const syncFolder = (name) => { const f = fs.openSync(at(name), 'r'); fs.fsyncSync(f); fs.closeSync(f) }\n${script}`
  const { status, stderr } = spawnSync(process.execPath, ['-e', text], {
    env: { ...process.env, ...shimEnvironment(library as string, root, journal) },
  })
  if (status !== 0) throw new Error(String(stderr))
  const image = join(folder, 'image')
  durableImage(before, journal, image, random)
  return image
}

describe.skipIf(!library)('the shim', () => {
  it('keeps what was synced and drops what was not', () => {
    const image = after(`
      const f = fs.openSync(at('a'), 'w'); fs.writeSync(f, 'synced '); fs.fsyncSync(f); syncFolder('.'); fs.writeSync(f, 'lost')
      fs.writeFileSync(at('b'), 'a file whose folder was not synced')
    `)
    expect(readFileSync(join(image, 'a'), 'utf8')).toBe('synced ')
    expect(existsSync(join(image, 'b'))).toBe(false)
  })

  it('a name is durable only with its folder, however well its content was synced', () => {
    const image = after(`const f = fs.openSync(at('a'), 'w'); fs.writeSync(f, 'content'); fs.fsyncSync(f)`)
    expect(existsSync(join(image, 'a'))).toBe(false)
  })

  it('takes back a rename, an unlink and a folder that were not synced', () => {
    const image = after(`
      for (const name of ['a', 'b', 'c']) { const f = fs.openSync(at(name), 'w'); fs.writeSync(f, name); fs.fsyncSync(f) }
      syncFolder('.')
      fs.renameSync(at('a'), at('b')); fs.unlinkSync(at('c')); fs.mkdirSync(at('d'))
    `)
    for (const name of ['a', 'b', 'c']) expect(readFileSync(join(image, name), 'utf8')).toBe(name)
    expect(existsSync(join(image, 'd'))).toBe(false)
  })

  it('tears the last write', () => {
    const script = `const f = fs.openSync(at('a'), 'w'); syncFolder('.'); fs.writeSync(f, '0123456789')`
    // Asked for are: names of the folder, whole writes of the file, the part of the next one.
    const chosen = (...numbers: number[]) =>
      readFileSync(
        join(
          after(script, () => numbers.shift() ?? 0),
          'a',
        ),
        'utf8',
      )
    expect(chosen(0, 0, 0)).toBe('')
    expect(chosen(0, 0, 0.5)).toBe('01234')
    expect(chosen(0, 0.99)).toBe('0123456789')
  })
})
