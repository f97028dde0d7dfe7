import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { MillraceError, nearest } from '../runtime/index.js'
import { leaves } from './leaves.js'
import type { Settings } from './settings.js'

/** Takes the settings of a YAML file. Throws CONFIG_INVALID when it cannot be read; what is wrong in it becomes faults. */
export function takeFile(file: string, settings: Settings): void {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new MillraceError(
      'CONFIG_INVALID',
      `The configuration file ${file} cannot be read: ${(error as Error).message}.`,
      { cause: error, remedy: 'Name a file that exists with --config.' },
    )
  }
  const content = parsed(file, text, settings)
  if (content === undefined || content === null) return
  if (typeof content !== 'object' || Array.isArray(content)) settings.faults.push(`${file}: holds no settings`)
  else takeObject(content as Record<string, unknown>, '', settings)
}

function parsed(file: string, text: string, { faults }: Settings): unknown {
  try {
    // Loaded when there is a file: most starts have none.
    const { parseDocument } = createRequire(import.meta.url)('yaml') as typeof import('yaml')
    const document = parseDocument(text)
    for (const error of document.errors) faults.push(`${file}: ${error.message.split('\n')[0]}`)
    return document.errors.length > 0 ? undefined : document.toJS()
  } catch (error) {
    // Aliases that multiply beyond measure, for one.
    faults.push(`${file}: ${(error as Error).message}`)
    return undefined
  }
}

function takeObject(content: Record<string, unknown>, prefix: string, settings: Settings): void {
  for (const [name, value] of Object.entries(content)) {
    const path = prefix === '' ? name : `${prefix}.${name}`
    const isSection = leaves.some((leaf) => leaf.path.startsWith(`${path}.`))
    if (isSection) {
      // A section whose settings are all commented out.
      if (value === null) continue
      if (typeof value !== 'object' || Array.isArray(value))
        settings.faults.push(`${path}: holds settings, not a value`)
      else takeObject(value as Record<string, unknown>, path, settings)
    } else if (leaves.some((leaf) => leaf.path === path)) {
      if (value !== null) settings.place(path, value, 'file')
    } else settings.faults.push(unknownSetting(path, prefix))
  }
}

/** Looks for the name that is meant: the same one in another section, then among its neighbours, then everywhere. */
function unknownSetting(path: string, prefix: string): string {
  const start = prefix === '' ? '' : `${prefix}.`
  const name = path.slice(start.length)
  const beside = leaves
    .filter((leaf) => leaf.path.startsWith(start))
    .map((leaf) => leaf.path.slice(start.length).split('.')[0] as string)
  const neighbour = nearest(name, [...new Set(beside)])
  const near = pathOf(name) ?? (neighbour === undefined ? undefined : start + neighbour) ?? nearestPath(name)
  return `${path}: unknown${near ? `; is ${near} meant?` : ''}`
}

const lastName = (path: string): string => path.slice(path.lastIndexOf('.') + 1)

/** `port` at the top is `listen.port`. */
const pathOf = (name: string | undefined): string | undefined =>
  leaves.find((leaf) => lastName(leaf.path) === name)?.path

const nearestPath = (name: string): string | undefined =>
  pathOf(
    nearest(
      name,
      leaves.map((leaf) => lastName(leaf.path)),
    ),
  )
