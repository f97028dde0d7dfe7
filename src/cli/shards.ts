import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printDone, printList } from './output.js'
import { type Decision, printTop, shownDecision, type Top } from './shard-tables.js'
import { wholeNumber } from './whole-number.js'

interface Shard {
  readonly id: number
  readonly state: string
  readonly low: string
  readonly high: string
  readonly parents: readonly number[]
  readonly firstSequence: number
  readonly lastSequence?: number
}

/** Shards of a stream: what there is, what they carry, why they split. */
export function registerShards(program: Command): void {
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
    .description('seal a shard and open its children')
    .option('--at <hash...>', 'first key hash of each child but the first: 16 hex digits (default: the middle)')
    .action(async (stream: string, shard: string, options: { at?: string[] }, command: Command) => {
      const path = `streams/${encodeURIComponent(stream)}/shards/${encodeURIComponent(shard)}/split`
      const answer = await new Client(globals(command)).call<{ children: Shard[] }>('POST', path, options)
      const children = answer.children.map((child) => child.id).join(' and ')
      printDone(`shard ${shard} is sealed; its children are ${children}`, answer, globals(command).json)
    })
  shards
    .command('merge <stream> <left> <right>')
    .description('seal two neighbours and open one child of both')
    .action(async (stream: string, left: string, right: string, _options: object, command: Command) => {
      const path = `streams/${encodeURIComponent(stream)}/shards/merge`
      const body = { left: Number(left), right: Number(right) }
      const answer = await new Client(globals(command)).call<{ child: Shard }>('POST', path, body)
      const sentence = `shards ${left} and ${right} are sealed; their child is ${answer.child.id}`
      printDone(sentence, answer, globals(command).json)
    })
  shards
    .command('top <stream>')
    .description('rates, load and heavy keys of the open shards, and the cut that would be made or why none helps')
    .option('--sample <ms>', 'look at the keys of every shard for so long first', wholeNumber, 2000)
    .action(async (stream: string, options: { sample: number }, command: Command) => {
      const path = `streams/${encodeURIComponent(stream)}/top?sample=${options.sample}`
      printTop(await new Client(globals(command)).call<Top>('GET', path), globals(command).json)
    })
  shards
    .command('history <stream>')
    .description('why shards were split, merged or left alone, with the figures; newest first')
    .option('--limit <n>', 'most lines', wholeNumber, 100)
    .action(async (stream: string, options: { limit: number }, command: Command) => {
      const path = `streams/${encodeURIComponent(stream)}/history?limit=${options.limit}`
      const { decisions } = await new Client(globals(command)).call<{ decisions: Decision[] }>('GET', path)
      printList('decisions', decisions, decisions.map(shownDecision), globals(command).json)
    })
}
