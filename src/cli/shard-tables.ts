import { printJson, printList, type Row } from './output.js'

interface Key {
  readonly key: string
  readonly share: number
}

/** What GET /v1/streams/NAME/top answers. */
export interface Top {
  readonly stream: string
  readonly shards: readonly {
    readonly shard: number
    readonly phase: string
    readonly load: number
    readonly by: string
    readonly recordsPerSecond: number
    readonly bytesPerSecond: number
    readonly cpu: number
    readonly queueMs: number
    readonly keys: readonly Key[]
    readonly next?: {
      readonly cuts?: readonly string[]
      readonly isolated?: readonly string[]
      readonly pieces?: readonly number[]
      readonly none?: string
      readonly key?: Key
      readonly remedies?: readonly string[]
    }
  }[]
}

const keysShown = 3
/** A longer key would push all else out of sight; --json has it. */
const keyLengthMax = 40
const shortened = (key: string): string => (key.length > keyLengthMax ? `${key.slice(0, keyLengthMax)}...` : key)
const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
const shownKeys = (keys: readonly Key[]): string =>
  keys
    .slice(0, keysShown)
    .map(({ key, share }) => `${shortened(key)} ${percent(share)}`)
    .join(', ')

export function printTop(top: Top, json: boolean): void {
  if (json) return printJson(top)
  const shown = top.shards.map((shard): Row => {
    return {
      shard: shard.shard,
      load: shard.load.toFixed(2),
      by: shard.by,
      'records/s': Math.round(shard.recordsPerSecond),
      'MB/s': (shard.bytesPerSecond / 1e6).toFixed(2),
      threads: shard.cpu.toFixed(2),
      'queue ms': Math.round(shard.queueMs),
      state: shard.phase,
      'heavy keys': shownKeys(shard.keys),
      'a split would': shownNext(shard.next),
    }
  })
  printList('open shards', top.shards, shown, false)
  // One hot key is why none helps: what to do about it stands below the table, once.
  const remedies = new Set(
    top.shards.filter(({ phase }) => phase === 'parked').flatMap(({ next }) => next?.remedies ?? []),
  )
  if (remedies.size > 0) process.stdout.write(`\nwhat helps:\n${[...remedies].map((each) => `  - ${each}\n`).join('')}`)
}

function shownNext(next: Top['shards'][number]['next']): string {
  if (!next) return ''
  if (next.none !== undefined)
    return next.key ? `not help: ${next.none} (${shownKeys([next.key])})` : `not help: ${next.none}`
  const isolated = next.isolated ?? []
  const loads = (next.pieces ?? []).map((piece) => piece.toFixed(2)).join(' ')
  return isolated.length === 0 ? `give ${loads}` : `give ${loads}, with ${isolated.map(shortened).join(', ')} alone`
}

/** What GET /v1/streams/NAME/history answers, as far as it is shown. */
export interface Decision {
  readonly number: number
  readonly time: number
  readonly kind: 'split' | 'merge' | 'park'
  readonly reason: string
  readonly load: readonly { readonly u10: number; readonly recordsPerSecond: number; readonly bytesPerSecond: number }[]
  readonly parents?: readonly number[]
  readonly children?: readonly number[]
  readonly isolated?: readonly Key[]
  readonly shard?: number
  readonly pauseMs?: number
  readonly key?: Key
}

export function shownDecision(decision: Decision): Row {
  const { number, time, kind, reason, load, parents, children, isolated = [], shard, pauseMs, key } = decision
  const keys = key ? [key] : isolated
  return {
    number,
    time: new Date(time).toISOString(),
    what: kind,
    reason,
    shards: parents?.join(' ') ?? shard,
    into: children?.join(' '),
    load: load.map(({ u10 }) => u10.toFixed(2)).join(' '),
    'records/s': load.map(({ recordsPerSecond }) => Math.round(recordsPerSecond)).join(' '),
    'MB/s': load.map(({ bytesPerSecond }) => (bytesPerSecond / 1e6).toFixed(2)).join(' '),
    keys: shownKeys(keys),
    pause: pauseMs === undefined ? undefined : `${pauseMs / 1000} s`,
  }
}
