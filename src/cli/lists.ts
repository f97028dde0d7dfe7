import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printDone, printList, printOne, type Row } from './output.js'
import { wholeNumber } from './whole-number.js'

interface Stream {
  readonly name: string
  readonly kind: string
  readonly shards: number
  readonly open: number
  readonly closedAt?: number
}

interface Shard {
  readonly id: number
  readonly state: string
  readonly low: string
  readonly high: string
  readonly parents: readonly number[]
  readonly firstSequence: number
  readonly lastSequence?: number
}

/** The commands that look at the daemon: status, tables, streams, shards. */
export function registerLists(program: Command): void {
  program
    .command('status')
    .description('what the daemon is and how it does')
    .action(async (_options: object, command: Command) => {
      printOne(await new Client(globals(command)).call('GET', 'status'), globals(command).json)
    })

  const tables = program.command('tables').description('tables')
  tables
    .command('list', { isDefault: true })
    .description('all tables')
    .action(async (_options: object, command: Command) => {
      const { tables: rows } = await new Client(globals(command)).call<{ tables: Row[] }>('GET', 'tables')
      printList('tables', rows, rows, globals(command).json)
    })
  tables
    .command('show <name>')
    .description('one table')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('GET', `tables/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })

  registerStreams(program)
  registerShards(program)
}

function registerStreams(program: Command): void {
  const streams = program
    .command('streams')
    .description('streams: plain ones, and the change logs of tables (table:NAME)')
  streams
    .command('list', { isDefault: true })
    .description('all streams')
    .action(async (_options: object, command: Command) => {
      const { streams: rows } = await new Client(globals(command)).call<{ streams: Stream[] }>('GET', 'streams')
      printList(
        'streams',
        rows,
        rows.map(({ name, kind, closedAt, shards, open }) => ({
          stream: name,
          kind,
          state: closedAt === undefined ? 'open' : 'closed',
          shards,
          'open shards': open,
        })),
        globals(command).json,
      )
    })
  streams
    .command('create <name>')
    .description('make a plain stream')
    .option('--shards <n>', 'how many shards it begins with', wholeNumber, 1)
    .action(async (name: string, options: { shards: number }, command: Command) => {
      printOne(
        await new Client(globals(command)).call('POST', 'streams', { name, shards: options.shards }),
        globals(command).json,
      )
    })
  streams
    .command('show <name>')
    .description('one stream')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('GET', `streams/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })
  streams
    .command('delete <name>')
    .description('close a plain stream for ever')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('DELETE', `streams/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })
}

function registerShards(program: Command): void {
  const shards = program.command('shards').description('shards of a stream')
  shards
    .command('list <stream>', { isDefault: true })
    .description('the shards of a stream (a table: table:NAME)')
    .action(async (stream: string, _options: object, command: Command) => {
      const { shards: rows } = await new Client(globals(command)).call<{ shards: Shard[] }>(
        'GET',
        `streams/${encodeURIComponent(stream)}/shards`,
      )
      const shown = rows.map((shard) => ({
        shard: shard.id,
        state: shard.state,
        'from hash': shard.low,
        'to hash': shard.high,
        parents: shard.parents.join(' '),
        first: shard.firstSequence,
        last: shard.lastSequence,
      }))
      printList('shards', rows, shown, globals(command).json)
    })
  shards
    .command('split <stream> <shard>')
    .description('seal a shard and open two children')
    .option('--at <hash>', 'first key hash of the upper child: 16 hex digits (default: the middle)')
    .action(async (stream: string, shard: string, options: { at?: string }, command: Command) => {
      const path = `streams/${encodeURIComponent(stream)}/shards/${encodeURIComponent(shard)}/split`
      const answer = await new Client(globals(command)).call<{ children: Shard[] }>('POST', path, options)
      const children = answer.children.map((child) => child.id).join(' and ')
      printDone(`shard ${shard} is sealed; its children are ${children}`, answer, globals(command).json)
    })
}
