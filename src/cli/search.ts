import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { note, printDone, printJson, printList, printOne } from './output.js'
import { wholeNumber } from './whole-number.js'

interface Index {
  readonly name: string
  readonly table: string
  readonly fields: readonly string[]
  readonly state: string
  readonly reason?: string
  readonly documents: number
  readonly lagRecords: number
}

interface Answer {
  readonly sequence: number
  readonly total: number
  readonly hits: readonly {
    readonly key: Readonly<Record<string, Readonly<Record<string, string>>>>
    readonly score: number
    readonly fields: Readonly<Record<string, unknown>>
  }[]
}

interface QueryOptions {
  readonly limit?: number
  readonly fields?: string
  readonly prefix?: boolean
  readonly fuzzy?: boolean | string
  readonly all?: boolean
  readonly wait?: boolean | string
}

/** Cells of a table are cut at so many characters. */
const shownMax = 60

export function registerSearch(program: Command): void {
  const search = program.command('search').description('full-text search in the items of tables')
  registerQuery(search)
  search
    .command('create <index>')
    .description('make an index of a table and build it')
    .requiredOption('--table <name>', 'the table')
    .requiredOption(
      '--fields <list>',
      'attributes whose text is searched, with commas; title^3 counts three times',
      list,
    )
    .option('--store <list>', 'attributes that are shown with a hit, with commas (default: the fields)', list)
    .action(async (name: string, options: { table: string; fields: string[]; store?: string[] }, command: Command) => {
      printOne(await new Client(globals(command)).call('POST', 'search', { name, ...options }), globals(command).json)
    })
  search
    .command('list')
    .description('all indexes')
    .action(async (_options: object, command: Command) => {
      const { indexes } = await new Client(globals(command)).call<{ indexes: Index[] }>('GET', 'search')
      const shown = indexes.map(({ name, table, fields, state, reason, documents, lagRecords }) => ({
        index: name,
        table,
        fields: fields.join(', '),
        state,
        documents,
        lag: lagRecords,
        reason,
      }))
      printList('indexes', indexes, shown, globals(command).json)
    })
  search
    .command('show <index>')
    .description('one index')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(await new Client(globals(command)).call('GET', pathOf(name)), globals(command).json)
    })
  search
    .command('rebuild <index>')
    .description('build an index again from its table')
    .action(async (name: string, _options: object, command: Command) => {
      const index = await new Client(globals(command)).call('POST', `${pathOf(name)}/rebuild`)
      printDone(`${name} is being built again`, index, globals(command).json)
    })
  search
    .command('delete <index>')
    .description('delete an index; its table stays')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = await new Client(globals(command)).call('DELETE', pathOf(name))
      printDone(`${name} is deleted`, answer, globals(command).json)
    })
}

function registerQuery(search: Command): void {
  search
    .command('query <index> <words...>', { isDefault: true })
    .description('what an index finds')
    .option('--limit <n>', 'how many hits (default: 10)', wholeNumber)
    .option('--fields <list>', 'the fields that are searched, with commas (default: all)')
    .option('--prefix', 'words that begin like one of these count, too')
    .option('--fuzzy [edits]', 'words that differ by a few letters count, too')
    .option('--all', 'only what has every word')
    .option('--wait [sequence]', 'until everything that was written before is in the index, or up to a sequence number')
    .action(async (index: string, words: string[], options: QueryOptions, command: Command) => {
      const { json } = globals(command)
      const answer = await new Client(globals(command)).call<Answer>(
        'GET',
        `${pathOf(index)}?${queryOf(words, options)}`,
      )
      if (json) return printJson(answer)
      const shown = answer.hits.map(({ key, score, fields }) => ({
        ...Object.fromEntries(Object.entries(key).map(([name, value]) => [name, Object.values(value)[0]])),
        ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, cell(value)])),
        score: score.toFixed(2),
      }))
      printList('hits', answer.hits, sameColumns(shown), false)
      if (answer.total > answer.hits.length) note(`${answer.hits.length} of ${answer.total}`)
    })
}

function queryOf(words: readonly string[], { limit, fields, prefix, fuzzy, all, wait }: QueryOptions): URLSearchParams {
  const query = new URLSearchParams({ q: words.join(' ') })
  if (limit !== undefined) query.set('limit', String(limit))
  if (fields !== undefined) query.set('fields', fields)
  if (prefix) query.set('prefix', 'true')
  if (fuzzy) query.set('fuzzy', String(fuzzy))
  if (all) query.set('match', 'all')
  if (wait) query.set('wait', wait === true ? 'now' : wait)
  return query
}

const pathOf = (index: string): string => `search/${encodeURIComponent(index)}`
const list = (text: string): string[] => text.split(',').map((each) => each.trim())

function cell(value: unknown): string {
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(/\s+/g, ' ')
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}

/** A table has the columns of its first row: each row gets all that any has, the score last. */
function sameColumns(rows: readonly (Readonly<Record<string, string | undefined>> & { readonly score: string })[]) {
  const names = new Set(rows.flatMap((row) => Object.keys(row)))
  names.delete('score')
  return rows.map((row) => Object.fromEntries([...names, 'score'].map((name) => [name, row[name]])))
}
