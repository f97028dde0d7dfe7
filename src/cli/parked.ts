import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printJson, printList, printOne } from './output.js'

interface Parked {
  readonly pipeline: string
  readonly step: string
  readonly key: string
  readonly number: number
  readonly kind: 'row' | 'timer'
  readonly value?: unknown
  readonly sequence?: number
  readonly time: number
  readonly parkedAt: number
  readonly attempts: number
  readonly error?: { readonly code: string; readonly message: string; readonly stack?: string }
  readonly behind: number
}

interface Choice {
  readonly pipeline?: string
  readonly step?: string
  readonly key?: string
}

const queryOf = (choice: Readonly<Record<string, string | undefined>>): string => {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(choice)) if (value !== undefined) query.set(name, value)
  return query.size === 0 ? '' : `?${query}`
}

/** A parked record for people. */
const forPeople = ({ value, error, time, parkedAt, attempts, ...rest }: Parked): object => ({
  ...rest,
  ...(value === undefined ? {} : { value: JSON.stringify(value) }),
  time: new Date(time).toISOString(),
  parkedAt: new Date(parkedAt).toISOString(),
  ...(attempts === 0 ? { waits: 'behind an earlier record of its key' } : { attempts }),
  ...(error ? { error: `${error.message} (${error.code})`, stack: error.stack } : {}),
})

const shownError = ({ error }: Parked): string => error?.message.split('\n')[0]?.slice(0, 80) ?? ''

export function registerParked(program: Command): void {
  const parked = program
    .command('parked')
    .description('records that steps of pipelines could not take, and what waits behind')
  const choosing = (name: string): Command =>
    parked
      .command(name)
      .option('--pipeline <name>', 'only of this pipeline')
      .option('--step <name>', 'only at this step')
      .option('--key <key>', 'only of this key')
  choosing('list')
    .description('the first record of each key')
    .action(async (choice: Choice, command: Command) => {
      const { parked: rows, more } = await new Client(globals(command)).call<{ parked: Parked[]; more: number }>(
        'GET',
        `parked${queryOf({ ...choice })}`,
      )
      const shown = rows.map((row) => ({
        pipeline: row.pipeline,
        step: row.step,
        key: row.key,
        behind: row.behind,
        attempts: row.attempts,
        sequence: row.sequence,
        error: shownError(row),
      }))
      if (globals(command).json) return printJson({ parked: rows, more })
      printList('parked', rows, shown, false)
      if (more > 0) process.stderr.write(`${more} more keys wait: name a pipeline, a step or a key.\n`)
    })
  choosing('show')
    .description('all rows of a key, with what their step was given and the error')
    .action(async (choice: Choice, command: Command) => {
      const { json } = globals(command)
      const found = await new Client(globals(command)).call<{ parked: Parked[]; more: number }>(
        'GET',
        `parked${queryOf({ ...choice, rows: '1000' })}`,
      )
      if (json) return printJson(found)
      for (const [i, row] of found.parked.entries()) {
        if (i > 0) process.stdout.write('\n')
        printOne(forPeople(row), false)
      }
    })
  choosing('retry')
    .description('try parked records again, those of each key in their order')
    .action(async (choice: Choice, command: Command) => {
      printOne(await new Client(globals(command)).call('POST', 'parked/retry', { ...choice }), globals(command).json)
    })
  choosing('drop')
    .description('give up the first record of each key, and try those that waited behind it')
    .option('--all', 'give up all of them')
    .action(async (choice: Choice & { readonly all?: boolean }, command: Command) => {
      printOne(await new Client(globals(command)).call('POST', 'parked/drop', { ...choice }), globals(command).json)
    })
}
