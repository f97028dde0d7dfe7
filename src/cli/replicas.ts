import type { Command } from 'commander'
import { Client, globals } from './client.js'
import { printJson, printList, printOne } from './output.js'
import { wholeNumber } from './whole-number.js'

interface Replica {
  readonly table: string
  readonly region: string
  readonly status: string
  readonly phase: string
  readonly lagRecords: number
  readonly lagSeconds: number
  readonly sentChanges: number
  readonly error?: string
}

interface Source {
  readonly region: string
  readonly applied: number
  readonly conflicts: number
}

interface Conflict {
  readonly number: number
  readonly key: unknown
  readonly lost?: unknown
  readonly lostVersion: { readonly region: string }
  readonly wonVersion: { readonly region: string }
  readonly isDeleted: boolean
  readonly at: number
}

interface Verified {
  readonly regions: readonly string[]
  readonly ranges: number
  readonly items: number
  readonly different: readonly {
    readonly range: number
    readonly regions: Readonly<Record<string, { readonly items: number }>>
  }[]
}

/** What can be asked about the replicas of a table in other regions. */
export function registerReplicas(tables: Command): void {
  tables
    .command('replicas <name>')
    .description('the replicas of a table in other regions, and how far each is')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = await new Client(globals(command)).call<{ replicas: Replica[]; sources: Source[] }>(
        'GET',
        `tables/${encodeURIComponent(name)}/replicas`,
      )
      if (globals(command).json) return printJson(answer)
      const shown = answer.replicas.map(({ region, status, phase, lagRecords, lagSeconds, sentChanges, error }) => {
        const source = answer.sources.find((each) => each.region === region)
        return {
          region,
          status,
          link: phase,
          'lag records': lagRecords,
          'lag seconds': lagSeconds,
          sent: sentChanges,
          received: source?.applied ?? 0,
          conflicts: source?.conflicts ?? 0,
          error,
        }
      })
      printList('replicas', answer.replicas, shown, false)
    })
  tables
    .command('conflicts <name>')
    .description('writes of a table that lost against those of another region which did not know of them')
    .option('--limit <n>', 'most of them', wholeNumber, 100)
    .action(async (name: string, { limit }: { limit: number }, command: Command) => {
      const { conflicts } = await new Client(globals(command)).call<{ conflicts: Conflict[] }>(
        'GET',
        `tables/${encodeURIComponent(name)}/conflicts?limit=${limit}`,
      )
      const shown = conflicts.map(({ number, key, lost, lostVersion, wonVersion, isDeleted, at }) => ({
        number,
        at: new Date(at).toISOString(),
        key: JSON.stringify(key),
        lost: lost === undefined ? 'too large to be kept' : lost === null ? 'a deletion' : JSON.stringify(lost),
        'written in': lostVersion.region,
        against: `${isDeleted ? 'a deletion' : 'a write'} in ${wonVersion.region}`,
      }))
      printList('conflicts', conflicts, shown, globals(command).json)
    })
  tables
    .command('verify <name>')
    .description('compare a table with its replicas, by digests of ranges of its keys; 1 when any differs')
    .action(async (name: string, _options: object, command: Command) => {
      const verified = await new Client(globals(command)).call<Verified>(
        'POST',
        `tables/${encodeURIComponent(name)}/verify`,
      )
      const { regions, ranges, items, different } = verified
      if (different.length > 0) process.exitCode = 1
      if (globals(command).json) return printJson(verified)
      printOne({ regions: regions.join(', '), items, ranges, 'ranges that differ': different.length }, false)
      if (different.length === 0) return
      const shown = different.map((each) => ({
        range: each.range.toString(16).padStart(2, '0'),
        ...Object.fromEntries(Object.entries(each.regions).map(([region, found]) => [region, `${found.items} items`])),
      }))
      printList('ranges', different, shown, false)
    })
}
