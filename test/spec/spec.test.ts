/** docs/SPEC.md names code, tests and mutants: all of them exist, and every invariant has code and a test. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const text = readFileSync(join(root, 'docs', 'SPEC.md'), 'utf8')
const mutants = readFileSync(join(root, 'scripts', 'mutants', 'list.mjs'), 'utf8')
const invariants = text.split(/^### /m).slice(1)

/** A path in backticks, then names in backticks and brackets. */
const named = /`((?:src|test)\/[^`]+\.ts)`(?: \(((?:`[^`]+`(?:, )?)+)\))?/g

function contentOf(path: string): string {
  expect(existsSync(join(root, path)), `${path} is named and not there`).toBe(true)
  return readFileSync(join(root, path), 'utf8')
}

/** As the source has it: a quote in a title may be escaped there. */
const unescaped = (source: string): string => source.replaceAll("\\'", "'")

describe('docs/SPEC.md', () => {
  it('names files and names of code that are there', () => {
    for (const [, path, names] of text.matchAll(named)) {
      const content = contentOf(path as string)
      for (const [, name] of (names ?? '').matchAll(/`([^`]+)`/g))
        expect(content, `${path} has ${name}`).toContain(name)
    }
  })

  it('names titles of tests that are there', () => {
    const lines = text.split('\n').filter((line) => line.startsWith('- test: '))
    expect(lines.length).toBeGreaterThan(30)
    for (const line of lines) {
      const [, path, title] = /^- test: `([^`]+)` "(.+)"$/.exec(line) ?? []
      expect(path, line).toBeDefined()
      expect(title?.length, line).toBeGreaterThan(20)
      expect(unescaped(contentOf(path as string)), line).toContain(title)
    }
  })

  it('names mutants that are there, each that is not a test of another room', () => {
    const found = new Set<string>()
    for (const line of text.split('\n').filter((each) => each.startsWith('- mutant: '))) {
      const names = [...line.matchAll(/"([^"]+)"/g)].map(([, name]) => name as string)
      expect(names.length, line).toBeGreaterThan(0)
      for (const name of names) {
        expect(mutants.includes(`'${name}'`) || mutants.includes(`"${name}"`), name).toBe(true)
        found.add(name)
      }
    }
    expect(found.size).toBeGreaterThan(20)
  })

  it('numbers its invariants without a gap, and gives each its code and a test', () => {
    const last = new Map<string, number>()
    for (const invariant of invariants) {
      const [, letter, number] = /^([A-Z])(\d+)\. .+\.\n/.exec(invariant) ?? []
      expect(letter, invariant).toBeDefined()
      expect(Number(number), invariant).toBe((last.get(letter as string) ?? 0) + 1)
      last.set(letter as string, Number(number))
      expect(invariant).toMatch(/^- code: `src\//m)
      expect(invariant).toMatch(/^- test: `test\//m)
    }
  })
})
