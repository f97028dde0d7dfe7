import { configJsonSchema, defaultConfigFile, leaves, sections } from '../../dist/config/index.js'
import { code, page, table } from './markdown.mjs'

/** `16777216` as `16 MiB`, where the name says that it is bytes and the number is a round one. */
function inWords({ path, initial }) {
  if (!/(Bytes(Max|Min)?|bytesPerSecond)$/.test(path)) return undefined
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ]) {
    if (initial >= size && initial % size === 0) return `${initial / size} ${unit}`
  }
  return undefined
}

function initialOf(leaf) {
  if (leaf.initialText !== undefined) return leaf.initialText
  if (leaf.initial === undefined) return ''
  const words = inWords(leaf)
  return `${code(JSON.stringify(leaf.initial))}${words ? ` (${words})` : ''}`
}

function allowed({ kind, choices, minimum, maximum }) {
  if (choices) return choices.map(code).join(', ')
  if (kind === 'boolean') return '`true`, `false`'
  if (kind === 'list') return 'a list'
  if (kind === 'map') return 'names with their settings'
  if (kind === 'string') return 'text'
  return maximum === Number.MAX_SAFE_INTEGER ? `from ${minimum}` : `${minimum} to ${maximum}`
}

const sectionOf = ({ path }) => (path.includes('.') ? path.slice(0, path.indexOf('.')) : '')

export function configurationPage() {
  const rowsOf = (name) =>
    leaves
      .filter((leaf) => sectionOf(leaf) === name)
      .map((leaf) => [code(leaf.path), initialOf(leaf), allowed(leaf), `${leaf.description} ${code(leaf.variable)}`])
  const memberRows = leaves.flatMap(({ members = [] }) =>
    members.map((leaf) => [code(leaf.path), initialOf(leaf), allowed(leaf), leaf.description]),
  )
  const head = ['setting', 'default', 'values', 'what it is, and its variable']
  return page(
    'Configuration',
    `Values come from, each replacing the one before it: the defaults; a YAML file (${code('--config FILE')},
${code('MILLRACE_CONFIG')}, or ${code(`./${defaultConfigFile}`)} when it exists); variables ${code('MILLRACE_*')}; the flags ${code('--data')} and
${code('--port')}. Names end in their unit. A list in a variable has commas between its members. An unknown name is an error that
names the nearest one; names that Kubernetes gives a service called ${code('millrace')} are passed over.`,
    `${code('millrace config check')} names every fault (exit code 2); ${code('millrace config show')} prints what is in force and where each
value came from. ${code('config/millrace.yaml')} holds every setting with its default, ${code('config/millrace.schema.json')} is its JSON
schema for editors.`,
    table(head, rowsOf('')),
    ...sections.flatMap(({ name, description }) => [`## ${name}\n\n${description}`, table(head, rowsOf(name))]),
    `## Entries of maps

A map has names that you choose; a variable gives all of it as JSON. Each entry may have:`,
    table(['setting', 'default', 'values', 'what it is'], memberRows),
  )
}

export function schemaFile() {
  return `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`
}

const comment = (text, indent) => text.split('\n').map((line) => `${indent}# ${line}`)

function settingLines(leaf, indent) {
  const name = leaf.path.slice(leaf.path.lastIndexOf('.') + 1)
  const lines = comment(leaf.description, indent)
  if (leaf.choices) lines.push(`${indent}# One of: ${leaf.choices.join(', ')}.`)
  // A default that depends on the machine cannot be written here without being wrong on another.
  if (leaf.initialText !== undefined)
    return [...lines, `${indent}# Default: ${leaf.initialText}.`, `${indent}# ${name}:`]
  const words = inWords(leaf)
  return [...lines, `${indent}${name}: ${JSON.stringify(leaf.initial)}${words ? ` # ${words}` : ''}`]
}

export function yamlFile() {
  const lines = [
    '# yaml-language-server: $schema=./millrace.schema.json',
    '#',
    '# Every setting with its default. Delete what you do not change; MILLRACE_* variables and flags replace what is here.',
    '# docs/reference/configuration.md says more. Made by scripts/reference.mjs.',
    '',
    ...leaves.filter((leaf) => sectionOf(leaf) === '').flatMap((leaf) => [...settingLines(leaf, ''), '']),
  ]
  for (const { name, description } of sections) {
    lines.push(`# ${description}`, `${name}:`)
    let inner = ''
    for (const leaf of leaves) {
      if (sectionOf(leaf) !== name) continue
      const group = leaf.path.split('.').slice(1, -1).join('.')
      if (group !== inner && group !== '') lines.push(`  ${group}:`)
      inner = group
      lines.push(...settingLines(leaf, group === '' ? '  ' : '    '))
    }
    lines.push('')
  }
  return `${lines.join('\n').trimEnd()}\n`
}
