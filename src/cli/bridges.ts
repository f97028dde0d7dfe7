import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printList, printOne } from './output.js'
import { wholeNumber } from './whole-number.js'

interface Bridge {
  readonly name: string
  readonly source: string
  readonly topic: string
  readonly state: { readonly kind: string; readonly error?: { readonly message: string } }
  readonly statistics: { readonly records: number; readonly lagRecords: number }
}

interface CreateOptions {
  readonly source: string
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
  readonly tombstones: boolean
  readonly createTopic: boolean
}

export function registerBridges(program: Command): void {
  const bridges = program.command('bridges').description('bridges: streams mirrored to Kafka topics')
  bridges
    .command('create <name>')
    .description('mirror a stream to a topic')
    .requiredOption('--source <stream>', 'a plain stream, or table:NAME')
    .option('--brokers <list>', 'HOST:PORT, several with commas')
    .option('--cluster <name>', 'in place of the brokers: a name under kafka.clusters of the configuration')
    .option('--driver <name>', 'the library: kafkajs (default) or platformatic')
    .option('--topic <name>', 'the topic (default: PREFIX.SOURCE)')
    .option('--prefix <name>', 'prefix of the topic (default: millrace)')
    .option('--partitions <n>', 'partitions of the topic', wholeNumber)
    .option('--replication-factor <n>', 'replicas of a topic that is created', wholeNumber)
    .option('--guarantee <which>', 'exactly-once (default) or at-least-once')
    .option('--format <name>', 'envelope, image, dynamodb-streams or cloudevents')
    .option('--images <style>', 'dynamodb or plain')
    .option('--start <where>', 'oldest or newest')
    .option('--no-tombstones', 'no message without a value behind a delete')
    .option('--no-create-topic', 'the topic must exist')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const {
        source,
        brokers,
        cluster,
        driver,
        topic,
        prefix,
        partitions,
        replicationFactor,
        guarantee,
        format,
        images,
        start,
        tombstones,
        createTopic,
      } = options
      const body = {
        name,
        source,
        brokers,
        cluster,
        driver,
        topic,
        prefix,
        partitions,
        replicationFactor,
        guarantee,
        format,
        images,
        start,
        tombstones,
        createTopic,
      }
      printOne(await new Client(globals(command)).call('POST', 'bridges', body), globals(command).json)
    })
  bridges
    .command('list', { isDefault: true })
    .description('all bridges')
    .action(async (_options: object, command: Command) => {
      const { bridges: rows } = await new Client(globals(command)).call<{ bridges: Bridge[] }>('GET', 'bridges')
      const shown = rows.map((row) => ({
        bridge: row.name,
        source: row.source,
        topic: row.topic,
        state: row.state.kind,
        delivered: row.statistics.records,
        lag: row.statistics.lagRecords,
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
  for (const [verb, description] of changes) {
    bridges
      .command(`${verb} <name>`)
      .description(description)
      .action(async (name: string, _options: object, command: Command) => {
        const path = `bridges/${encodeURIComponent(name)}/${verb}`
        printOne(await new Client(globals(command)).call('POST', path), globals(command).json)
      })
  }
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

const changes = [
  ['pause', 'stop a bridge until it is resumed; its position stays'],
  ['resume', 'go on after a pause, or after a failure whose cause was removed'],
] as const
