import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

test('the examples of docs/client.md do what they say, one after the other on one daemon', async () => {
  ensureBuilt()
  const text = readFileSync(join(root, 'docs/client.md'), 'utf8')
  const examples = [...text.matchAll(/```js\n([\s\S]*?)```(?:\n\n```output\n([\s\S]*?)```)?/g)]
  expect(examples.length).toBeGreaterThan(4)
  const folder = temporaryFolder()
  const daemon = await DaemonProcess.start({ data: join(folder, 'data') })
  try {
    const own = pathToFileURL(join(root, 'dist/index.js')).href
    for (const [i, [, code, output]] of examples.entries()) {
      const file = join(folder, `example-${i}.mjs`)
      writeFileSync(file, code!.replace("'millrace'", `'${own}'`).replace('http://127.0.0.1:8000', daemon.url))
      const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 240_000 })
      expect(stdout, code).toBe(output ?? '')
    }
  } finally {
    expect(await daemon.stop()).toBe(0)
  }
})
