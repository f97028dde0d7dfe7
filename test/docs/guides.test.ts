import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { LinkPorts } from './link-ports.js'
import { commandsOf, missingLine, Shell } from './page-commands.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'docs', 'guides')
const pages = readdirSync(folder)
  .filter((name) => name !== 'README.md')
  .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))

beforeAll(ensureBuilt)

describe.each(pages)('docs/guides/$name', ({ text }) => {
  test('has commands that do what it shows', async () => {
    const blocks = commandsOf(text)
    expect(blocks.length).toBeGreaterThan(3)
    const work = temporaryFolder()
    const daemons: DaemonProcess[] = []
    let shell: Shell | undefined
    onTestFinished(async () => {
      shell?.close()
      await Promise.all(daemons.map((daemon) => daemon.stop()))
    })
    /** Where the page's addresses really are. */
    const addresses: [string, string][] = []
    const links = new LinkPorts(work)
    const real = (script: string) => addresses.reduce((now, [from, to]) => now.replaceAll(from, to), script)
    for (const block of blocks) {
      if (block.isDaemon) {
        const [, given = ''] = /^millrace serve (.*)\n$/.exec(block.script) ?? []
        const port = / --port (\d+)/.exec(given)?.[1] ?? '8000'
        const args = given
          .replace(/--port \d+/, '')
          .trim()
          .split(/\s+/)
        const config = args.indexOf('--config') + 1
        if (config > 0) args[config] = await links.configuration(join(root, args[config] as string))
        const daemon = await DaemonProcess.start({ args, cwd: work })
        daemons.push(daemon)
        addresses.push([`http://127.0.0.1:${port}`, daemon.url])
        shell ??= new Shell(work, { MILLRACE_URL: daemon.url, AWS_ENDPOINT_URL: daemon.url })
      } else await shell?.follow({ ...block, script: real(block.script) })
    }
  })

  test('shows the files of the example as they are', () => {
    const shown = [...text.matchAll(/^```\w+ (examples\/\S+)\n([\s\S]*?)^```$/gm)]
    expect(shown.length).toBeGreaterThan(0)
    for (const [, file, content] of shown) expect(readFileSync(join(root, file as string), 'utf8')).toContain(content)
  })
})

describe('what a page shows is compared with what comes', () => {
  test.each([
    [['a', 'c'], 'a\nb\nc', undefined],
    [['c', 'a'], 'a\nb\nc', 'a'],
    [['x  y'], ' x y ', undefined],
    [['1…(2)'], '1 and (2)', undefined],
    [['1…2'], '1 and 3', '1…2'],
    [['a', 'a'], 'a', 'a'],
  ])('%j in %j', (shown, output, missing) => expect(missingLine(shown, output)).toBe(missing))
})
