import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { durationMs, planOf } from '../../src/operators/plan/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { PlanRunner } from '../operators/plan-runner.js'

const pages = ['operators', 'windows'].map((name) => ({
  name,
  text: readFileSync(fileURLToPath(new URL(`../../docs/${name}.md`, import.meta.url)), 'utf8'),
}))
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Example {
  readonly title: string
  readonly code: string
  readonly script: readonly string[]
}

/** Each example is a module, and below it what its sources are given and what its sinks get. */
const examplesOf = (page: string): Example[] =>
  [...page.matchAll(/^### (.+)$\n([\s\S]*?)(?=^##|$(?![\s\S]))/gm)].flatMap(([, title, body]) =>
    [...(body as string).matchAll(/```ts\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)].map(([, code, script]) => ({
      title: title as string,
      code: code as string,
      script: (script as string).trimEnd().split('\n'),
    })),
  )

async function run({ code, script }: Example, name: string): Promise<{ given: unknown; expected: unknown }> {
  const file = join(folder, `${name}.ts`)
  writeFileSync(file, code)
  const bundled = join(folder, `${name}.mjs`)
  writeFileSync(bundled, await bundleModule(file))
  const { default: exported } = (await import(pathToFileURL(bundled).href)) as { default: unknown }
  const runner = new PlanRunner(planOf(exported))
  const expected = new Map<string, unknown[]>()
  let sequence = 0
  for (const line of script) {
    const [, source, record] = /^(\S+) < (.*)$/.exec(line) ?? []
    const [, sink, result] = /^(\S+) > (.*)$/.exec(line) ?? []
    const [, ms] = /^now \+(\S+)$/.exec(line) ?? []
    if (source && record) {
      const value = { sequence: ++sequence, ...(JSON.parse(record) as { key?: string; keys?: object; time: number }) }
      await runner.push(source, value, value.keys ?? { key: value.key }, value.time)
    } else if (sink && result) expected.set(sink, [...(expected.get(sink) ?? []), JSON.parse(result)])
    else if (ms) await runner.pass(durationMs(ms, 'an example'))
    else throw new Error(`An example has the line ${line}`)
  }
  await runner.end()
  return { given: JSON.parse(JSON.stringify([...runner.results])), expected: [...expected] }
}

describe.each(pages)('every example of docs/$name.md gives what the page says', ({ name, text }) => {
  const examples = examplesOf(text)

  it.each(examples.map((example, i) => [example.title, i] as const))('%s', async (_title, i) => {
    const { given, expected } = await run(examples[i] as Example, `${name}-${i}`)
    expect(Object.fromEntries(given as [string, unknown][])).toEqual(
      Object.fromEntries(expected as [string, unknown][]),
    )
  })

  it('has an example under every step', () => {
    const titles = [...text.matchAll(/^### (.+)$/gm)].map(([, title]) => title)
    expect([...new Set(examples.map(({ title }) => title))]).toEqual(titles)
    expect(titles.length).toBeGreaterThan(6)
  })
})
