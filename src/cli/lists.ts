import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printDone, printList, printOne } from './output.js'
import { registerReplicas } from './replicas.js'
import { isOfRetention, retentionOf } from './retention-settings.js'
import { registerShards } from './shards.js'
import { settingsOf } from './stream-settings.js'
import { wholeNumber } from './whole-number.js'

interface Stream {
  readonly name: string
  readonly kind: string
  readonly shards: number
  readonly open: number
  readonly closedAt?: number
}

interface Table {
  readonly name: string
  readonly status: string
  readonly keys: string
  readonly billing: string
  readonly stream?: string
  readonly indexes: readonly { readonly name: string }[]
  readonly ttl?: string
  readonly counted?: { readonly items: number }
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
      const { tables: rows } = await new Client(globals(command)).call<{ tables: Table[] }>('GET', 'tables')
      printList(
        'tables',
        rows,
        rows.map(({ name, status, keys, billing, stream, indexes, ttl, counted }) => ({
          table: name,
          status,
          keys,
          billing,
          stream: stream ?? 'off',
          indexes: indexes.map((index) => index.name).join(', '),
          ttl: ttl ?? 'off',
          items: counted?.items ?? 'not counted',
        })),
        globals(command).json,
      )
    })
  tables
    .command('show <name>')
    .description('one table: its keys, its indexes, its AWS stream, its time to live and the last count of its items')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('GET', `tables/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })

  registerReplicas(tables)
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
    .command('set <name> <settings...>')
    .description(
      'change what a stream has instead of the configuration: KEY=VALUE of its section split, such as target.recordsPerSecond=20000 or enabled=false; retention.ms=N, retention.bytes=N, retention=forever; KEY=default takes it back',
    )
    .action(async (name: string, settings: string[], _options: object, command: Command) => {
      const retention = retentionOf(settings)
      const others = settings.filter((setting) => !isOfRetention(setting))
      const answer = await new Client(globals(command)).call<object>('PATCH', `streams/${encodeURIComponent(name)}`, {
        ...(retention === undefined ? {} : { retention }),
        ...(others.length === 0 ? {} : settingsOf(others)),
      })
      printDone(`${name} is changed: ${settings.join(' ')}`, answer, globals(command).json)
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
