import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../temporary-folder.js'
import { serve } from './serving.js'

test('a copy lies where it was asked for, and nowhere else', async () => {
  const serving = await serve()
  const { dataDirectory } = serving.daemon
  const folder = temporaryFolder()
  const stage = (target: unknown) => serving.v1('POST', 'backup', { target })
  writeFileSync(join(folder, 'file'), '')
  for (const [target, code] of [
    ['relative', 'BAD_REQUEST'],
    [`${folder}/a\0b`, 'BAD_REQUEST'],
    [join(dataDirectory, 'inside'), 'BAD_REQUEST'],
    [`${dataDirectory}/../${'x/../'}data/inside`, 'BAD_REQUEST'],
    [dataDirectory, 'BAD_REQUEST'],
    [5, 'BAD_REQUEST'],
    [join(folder, 'file'), 'ALREADY_EXISTS'],
    [join(folder, 'file', 'below'), 'IO_FAILED'],
    [folder, 'ALREADY_EXISTS'],
  ])
    expect((await stage(target)).code, String(target)).toBe(code)
  expect(readdirSync(folder)).toEqual(['file'])
  expect(readdirSync(dataDirectory).filter((name) => /inside|staging/.test(name))).toEqual([])
  expect((await stage(`${folder}/copy/`)).json).toMatchObject({ folder: join(folder, 'copy.partial') })
  expect(existsSync(join(folder, 'copy.partial', 'MILLRACE'))).toBe(true)
  expect((await stage(join(folder, 'copy'))).code).toBe('ALREADY_EXISTS')
})
