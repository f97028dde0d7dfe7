import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printDone, printList, printOne } from './output.js'
import { type Place, placeOf, places, placeText } from './places.js'

interface Group {
  readonly name: string
  readonly stream?: string
  readonly kind: string
  readonly lag: number
  readonly positions: readonly { readonly shard: number; readonly ended: boolean }[]
  readonly members?: readonly object[]
}

/** Groups: named consumers with a position in every shard. */
export function registerGroups(program: Command): void {
  const groups = program.command('groups').description('groups: named consumers with a position in every shard')
  groups
    .command('list', { isDefault: true })
    .description('all groups')
    .action(async (_options: object, command: Command) => {
      const { groups: rows } = await new Client(globals(command)).call<{ groups: Group[] }>('GET', 'groups')
      const shown = rows.map(({ name, stream, kind, lag, positions, members }) => ({
        group: name,
        stream,
        kind,
        lag,
        shards: positions.filter((position) => !position.ended).length,
        members: members?.length,
      }))
      printList('groups', rows, shown, globals(command).json)
    })
  groups
    .command('show <name>')
    .description('one group with its positions and members')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(await new Client(globals(command)).call('GET', pathOf(name)), globals(command).json)
    })
  groups
    .command('create <name>')
    .description('make a group that programs join')
    .requiredOption('--stream <stream>', 'what it reads: a stream, or table:NAME')
    .option('--start <where>', places, placeOf, 'oldest')
    .option('--hold', 'keep records that it has not passed from being trimmed, within the bound of retention')
    .action(async (name: string, options: { stream: string; start: Place; hold?: true }, command: Command) => {
      const { stream, start, hold = false } = options
      const client = new Client(globals(command))
      printOne(await client.call('POST', 'groups', { name, stream, start, hold }), globals(command).json)
    })
  groups
    .command('seek <name>')
    .description('move a group; its members go on from there')
    .requiredOption('--to <where>', places, placeOf)
    .action(async (name: string, { to }: { to: Place }, command: Command) => {
      const group = await new Client(globals(command)).call('POST', `${pathOf(name)}/seek`, { to })
      printDone(`the group ${name} goes on from ${placeText(to)}`, group, globals(command).json)
    })
  groups
    .command('delete <name>')
    .description('forget a group and its positions')
    .action(async (name: string, _options: object, command: Command) => {
      printDone(
        `deleted ${name}`,
        await new Client(globals(command)).call('DELETE', pathOf(name)),
        globals(command).json,
      )
    })
}

const pathOf = (name: string): string => `groups/${encodeURIComponent(name)}`
