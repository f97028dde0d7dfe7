import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import { MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { printDone, printList, printOne } from './output.js'
import { type Place, placeOf, places, placeText } from './places.js'
import { wholeNumber } from './whole-number.js'

interface Bridge {
  readonly name: string
  readonly direction: 'in' | 'out'
  readonly into?: string
  readonly source: string
  readonly topic: string
  readonly state: { readonly kind: string; readonly error?: { readonly message: string } }
  readonly statistics: { readonly records: number; readonly lagRecords: number; readonly lagSeconds: number }
}

interface CreateOptions {
  readonly source?: string
  readonly fromTopic?: string
  readonly into?: string
  readonly unreadable?: string
  readonly refused?: string
  readonly deadLetters?: string
  readonly group?: string
  readonly brokers?: string
  readonly cluster?: string
  readonly driver?: string
  readonly topic?: string
  readonly prefix?: string
  readonly partitions?: number
  readonly replicationFactor?: number
  readonly guarantee?: string
  readonly format?: string
  readonly images?: string
  readonly start?: string
  readonly snapshot?: boolean
  readonly tombstones: boolean
  readonly createTopic: boolean
  readonly topicConfig?: Readonly<Record<string, string>>
  readonly compression?: string
  readonly header?: Readonly<Record<string, string>>
  readonly schema?: string
  readonly converter?: string
}

interface LastStepOptions {
  readonly schema?: string
  readonly remove?: boolean
  readonly removeSchema?: boolean
}

export function registerBridges(program: Command): void {
  const bridges = program
    .command('bridges')
    .description('bridges: streams mirrored to Kafka topics, and topics stored in streams and tables')
  bridges
    .command('create <name>')
    .description('mirror a stream to a topic, or (with --from-topic and --into) store what a topic has')
    .option('--source <stream>', 'out: a plain stream, or table:NAME')
    .option('--from-topic <name>', 'in: the topic to read')
    .option('--into <target>', 'in: stream:NAME or table:NAME')
    .option('--unreadable <way>', 'in: dead-letter (default) or stop, for messages that cannot be stored')
    .option('--refused <way>', 'out: stop (default) or dead-letter, for records that cannot be sent')
    .option('--dead-letters <stream>', 'the stream that takes them (default: NAME.dead-letters)')
    .option('--group <name>', 'in: the consumer group that shows how far it is')
    .option('--brokers <list>', 'HOST:PORT, several with commas')
    .option('--cluster <name>', 'in place of the brokers: a name under kafka.clusters of the configuration')
    .option('--driver <name>', 'the library: kafkajs (default) or platformatic')
    .option('--topic <name>', 'the topic (default: PREFIX.SOURCE)')
    .option('--prefix <name>', 'prefix of the topic (default: millrace)')
    .option('--partitions <n>', 'partitions of the topic', wholeNumber)
    .option('--replication-factor <n>', 'replicas of a topic that is created', wholeNumber)
    .option('--guarantee <which>', 'exactly-once (default) or at-least-once')
    .option(
      '--topic-config <name=value>',
      'a setting of the topic, such as cleanup.policy=compact; may be repeated',
      pair,
    )
    .option('--format <name>', 'envelope, image, dynamodb-streams, cloudevents or cloudevents-binary')
    .option('--images <style>', 'dynamodb or plain')
    .option('--start <where>', 'oldest or newest')
    .option('--snapshot', "a table's items first, each as it is, and then its changes")
    .option('--compression <name>', 'none (default) or gzip')
    .option('--header <name=value>', 'a header that every message has; may be repeated', pair)
    .option('--converter <file>', 'a module whose functions key, value and headers make each message')
    .option('--schema <file>', 'a JSON Schema that each value is held against')
    .option('--no-tombstones', 'no message without a value behind a delete')
    .option('--no-create-topic', 'the topic must exist')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const { fromTopic, into, unreadable, group, ...outward } = options
      const isIn = fromTopic !== undefined || into !== undefined
      checkDirection(command, isIn)
      if (isIn) {
        const { brokers, cluster, driver, format, images, start, deadLetters } = options
        const asked = { direction: 'in', name, topic: fromTopic, into, brokers, cluster, driver, format, images, start }
        const inward = { ...asked, unreadable, deadLetters, group }
        printOne(await new Client(globals(command)).call('POST', 'bridges', inward), globals(command).json)
        return
      }
      const { header: headers, converter, schema, ...rest } = outward
      const body = { name, ...rest, headers, ...(await lastStep({ converter, schema })) }
      printOne(await new Client(globals(command)).call('POST', 'bridges', body), globals(command).json)
    })
  bridges
    .command('list', { isDefault: true })
    .description('all bridges')
    .action(async (_options: object, command: Command) => {
      const { bridges: rows } = await new Client(globals(command)).call<{ bridges: Bridge[] }>('GET', 'bridges')
      const shown = rows.map((row) => ({
        bridge: row.name,
        from: row.source,
        to: row.direction === 'in' ? row.into : `kafka:${row.topic}`,
        state: row.state.kind,
        records: row.statistics.records,
        lag: row.statistics.lagRecords,
        'lag in seconds': Math.round(row.statistics.lagSeconds * 10) / 10,
        error: row.state.error?.message,
      }))
      printList('bridges', rows, shown, globals(command).json)
    })
  bridges
    .command('show <name>')
    .description('one bridge')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('GET', `bridges/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })
  bridges
    .command('pause <name>')
    .description('stop a bridge until it is resumed; its position stays')
    .action(async (name: string, _options: object, command: Command) => {
      const path = `bridges/${encodeURIComponent(name)}/pause`
      printOne(await new Client(globals(command)).call('POST', path), globals(command).json)
    })
  bridges
    .command('resume <name>')
    .description('go on after a pause, or after a failure whose cause was removed')
    .option('--skip-lost', 'in: go on behind records that the topic has lost')
    .option('--refused <way>', 'out: stop or dead-letter, from now on, for records that cannot be sent')
    .action(async (name: string, options: { skipLost?: boolean; refused?: string }, command: Command) => {
      const query = new URLSearchParams({
        ...(options.skipLost ? { skipLost: 'true' } : {}),
        ...(options.refused === undefined ? {} : { refused: options.refused }),
      })
      const path = `bridges/${encodeURIComponent(name)}/resume${query.size > 0 ? `?${query}` : ''}`
      printOne(await new Client(globals(command)).call('POST', path), globals(command).json)
    })
  bridges
    .command('converter <name> [file]')
    .description('give a bridge another converter or schema, for what is sent from now on')
    .option('--schema <file>', 'a JSON Schema that each value is held against')
    .option('--remove', 'messages are sent as the format has them')
    .option('--remove-schema', 'values are held against no schema')
    .action(async (name: string, file: string | undefined, options: LastStepOptions, command: Command) => {
      const path = `bridges/${encodeURIComponent(name)}/converter`
      const body = {
        ...(await lastStep({ converter: file, schema: options.schema })),
        ...(options.remove ? { converter: null } : {}),
        ...(options.removeSchema ? { schema: null } : {}),
      }
      if (Object.keys(body).length === 0)
        throw new MillraceError('USAGE', 'Name a module, a schema, or what is to be removed.')
      const bridge = await new Client(globals(command)).call('POST', path, body)
      printDone(`the bridge ${name} makes its messages so from now on`, bridge, globals(command).json)
    })
  bridges
    .command('seek <name>')
    .description('go on from somewhere else; what lies between is passed over, or delivered once more')
    .option('--to <where>', `${places}; in: not a sequence number`, placeOf)
    .option('--offsets <list>', 'in: PARTITION=OFFSET, several with commas; other partitions stay', offsetsOf)
    .action(async (name: string, { to, offsets }: { to?: Place; offsets?: Offsets }, command: Command) => {
      if ((to === undefined) === (offsets === undefined))
        throw new MillraceError('USAGE', 'Say where to go on: one of --to and --offsets.')
      const path = `bridges/${encodeURIComponent(name)}/seek`
      const bridge = await new Client(globals(command)).call('POST', path, { to: to ?? { offsets } })
      const where = to === undefined ? 'these offsets' : placeText(to)
      printDone(`the bridge ${name} goes on from ${where}`, bridge, globals(command).json)
    })
  bridges
    .command('delete <name>')
    .description('stop a bridge and forget its position; the topic stays')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('DELETE', `bridges/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })
}

/** What bridges of the other direction do not have. */
const optionsIn = new Set(['fromTopic', 'into', 'unreadable', 'group'])
const optionsOfBoth = new Set(['brokers', 'cluster', 'driver', 'format', 'images', 'start', 'deadLetters'])

/** Throws USAGE that names what is missing, or was given and is of the other direction: left out, it would be missed late. */
function checkDirection(command: Command, isIn: boolean): void {
  const wrong = command.options.filter((option) => {
    const name = option.attributeName()
    return command.getOptionValueSource(name) === 'cli' && !optionsOfBoth.has(name) && optionsIn.has(name) !== isIn
  })
  if (wrong.length === 0) return checkEnds(command.opts<CreateOptions>())
  const named = wrong.map(({ long }) => long).join(', ')
  throw new MillraceError('USAGE', `A bridge ${isIn ? 'in' : 'out'} has no ${named}.`, {
    remedy: isIn
      ? 'Leave it out; or, for a bridge out, leave out --from-topic and --into.'
      : 'Leave it out; or, for a bridge in, give --from-topic and --into.',
  })
}

function checkEnds({ source, fromTopic, into }: CreateOptions): void {
  if (source !== undefined || (fromTopic !== undefined && into !== undefined)) return
  throw new MillraceError('USAGE', 'A bridge out has --source, a bridge in has --from-topic and --into.')
}

type Offsets = Readonly<Record<string, number>>

/** Reads 0=12,1=40. */
function offsetsOf(text: string): Offsets {
  const pairs = text.split(',').map((part) => /^(\d+)=(\d+)$/.exec(part.trim()))
  if (pairs.some((pair) => !pair || !Number.isSafeInteger(Number(pair[2]))))
    throw new InvalidArgumentError('It is PARTITION=OFFSET, several with commas.')
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], Number(pair?.[2])]))
}

/** Collects NAME=VALUE of an option that may be repeated. */
function pair(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is NAME=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** The module of a converter, bundled here, and a schema out of its file. Throws MODULE_INVALID, BAD_REQUEST. */
async function lastStep({ converter, schema }: { converter?: string | undefined; schema?: string | undefined }) {
  const { bundleModule } = await import('../workers/index.js')
  return {
    ...(converter === undefined ? {} : { converter: await bundleModule(converter) }),
    ...(schema === undefined ? {} : { schema: schemaIn(schema) }),
  }
}

function schemaIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown
  } catch (error) {
    throw new MillraceError('BAD_REQUEST', `The schema ${file} cannot be read: ${(error as Error).message}.`)
  }
}
