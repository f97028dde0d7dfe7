import { createRequire } from 'node:module'
import type CliTable from 'cli-table3'
import pico from 'picocolors'
import type { MillraceError } from '../runtime/index.js'
import { shownFields } from './shown-fields.js'

/** Colour only on a terminal, and never when NO_COLOR says so. */
const out = pico.createColors(pico.isColorSupported && process.stdout.isTTY === true)
const err = pico.createColors(pico.isColorSupported && process.stderr.isTTY === true)

export type Row = Readonly<Record<string, string | number | boolean | undefined>>

/** A list for people as a table, for scripts as one JSON document. */
export function printList(name: string, rows: readonly object[], shown: readonly Row[], json: boolean): void {
  if (json) return printJson({ [name]: rows })
  const first = shown[0]
  if (!first) return note(`no ${name}`)
  const head = Object.keys(first)
  // Loaded by the commands that print a table, so that `serve` starts without it.
  const Table = createRequire(import.meta.url)('cli-table3') as typeof CliTable
  const table = new Table({
    head: head.map((text) => out.bold(text)),
    style: { head: [], border: [] },
    chars: plainBorders,
  })
  for (const row of shown) table.push(head.map((column) => String(row[column] ?? '')))
  process.stdout.write(`${table.toString()}\n`)
}

const plainBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

/** One thing: its fields line by line, or as one JSON document. */
export function printOne(value: object, json: boolean): void {
  if (json) return printJson(value)
  const rows = shownFields(value)
  const width = Math.max(...rows.map(({ name }) => name.length))
  const indent = ' '.repeat(width + 2)
  for (const { name, text } of rows) {
    const lines = text.replaceAll('\n', `\n${indent}`)
    process.stdout.write(`${out.bold(name.padEnd(width))}  ${lines}\n`)
  }
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** What was done: a sentence for people, one JSON document for scripts. */
export function printDone(sentence: string, value: object, json: boolean): void {
  if (json) printJson(value)
  else process.stdout.write(`${sentence}\n`)
}

/** One sentence of what happened, one of what to do, the code. */
export function printError(error: MillraceError, json: boolean): void {
  if (json) process.stderr.write(`${JSON.stringify(error.toJSON())}\n`)
  else process.stderr.write(`${err.red('error')}: ${error.message}\n${error.remedy} (${error.code})\n`)
}

/** A line for a person who waits; not a result. */
export function note(text: string): void {
  process.stderr.write(`${err.dim(text)}\n`)
}
