import { type Duration, durationMs } from './duration.js'
import type { Sink } from './ends.js'
import { functionOf, invalid } from './invalid.js'
import { checkMembers } from './members.js'
import type { UserFunction } from './nodes.js'
import { type SinkPlan, targetOf } from './sink-plan.js'
import { extended, joined, nextStep, type Trail, tapped, trailOf } from './trail.js'

/** Promises that `asyncMap` keeps at a time and task unless it is told otherwise. */
const concurrencyDefault = 16
const concurrencyMax = 10_000
/** Characters of a name that a user gives a sink. */
const sinkNameMax = 128
/** Outputs of one branch. */
const branchesMax = 100

export interface AsyncMapOptions {
  /** Promises at a time and task; 16 by default. */
  readonly concurrency?: number
  /** Whether results keep the order of the values; true by default. */
  readonly ordered?: boolean
  /** A promise that takes longer fails the step; `30s` by default. */
  readonly timeout?: Duration
}

export interface EventTimeOptions {
  /** Longest time by which a value may come after a later one of its source shard without being late; 0 by default. */
  readonly outOfOrder?: Duration
  /** A source shard that gives nothing for so long holds nothing back; `1m` by default. */
  readonly idleAfter?: Duration
}

export function withFunction(trail: Trail, kind: 'filter' | 'map' | 'flatMap' | 'peek' | 'keyBy', run: unknown): Trail {
  return extended(trail, { kind, run: functionOf(run, nextStep(trail, kind)) as UserFunction })
}

export function withAsyncMap(trail: Trail, run: unknown, options: AsyncMapOptions | undefined): Trail {
  const where = nextStep(trail, 'asyncMap')
  checkMembers<AsyncMapOptions>(options, { concurrency: true, ordered: true, timeout: true }, where)
  const { concurrency = concurrencyDefault, ordered = true, timeout = '30s' } = options ?? {}
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > concurrencyMax)
    throw invalid(
      `${where} has a concurrency of ${String(concurrency)}.`,
      `Give a whole number from 1 to ${concurrencyMax}.`,
    )
  return extended(trail, {
    kind: 'asyncMap',
    run: functionOf(run, where) as UserFunction,
    concurrency,
    isOrdered: ordered,
    timeoutMs: durationMs(timeout, `the timeout of ${where}`),
  })
}

export function withEventTime(trail: Trail, run: unknown, options: EventTimeOptions | undefined): Trail {
  const where = nextStep(trail, 'eventTime')
  checkMembers<EventTimeOptions>(options, { outOfOrder: true, idleAfter: true }, where)
  const { outOfOrder = 0, idleAfter = '1m' } = options ?? {}
  return extended(trail, {
    kind: 'eventTime',
    time: {
      run: run === undefined ? undefined : (functionOf(run, where) as UserFunction),
      outOfOrderMs: durationMs(outOfOrder, `outOfOrder of ${where}`, 0),
      idleMs: durationMs(idleAfter, `idleAfter of ${where}`),
    },
  })
}

/** The trails of a branch's outputs: one of each function, then that of the rest. */
export function branched(trail: Trail, runs: readonly unknown[]): Trail[] {
  const where = nextStep(trail, 'branch')
  if (runs.length === 0 || runs.length >= branchesMax)
    throw invalid(`${where} has ${runs.length} functions.`, `Give it 1 to ${branchesMax - 1}, one for each output.`)
  const branch = extended(trail, { kind: 'branch', runs: runs.map((run) => functionOf(run, where) as UserFunction) })
  return [...runs, 'rest'].map((_, i) => extended(branch, { kind: 'output', output: String(i) }))
}

export function merged(trail: Trail, others: readonly unknown[]): Trail {
  const where = nextStep(trail, 'merge')
  if (others.length === 0) throw invalid(`${where} has nothing to merge with.`, 'Give it one flow or several.')
  return joined([trail, ...others.map((other) => trailOf(other, where))], { kind: 'merge' })
}

export function withThrough(trail: Trail, stream: string, run: unknown): Trail {
  const where = nextStep(trail, 'through')
  return extended(trail, { kind: 'through', stream, run: functionOf(run, where) as UserFunction })
}

/** `name` keeps the sink's place across deploys; without it, what it writes to does. */
export function withSink(
  trail: Trail,
  to: Pick<Sink<never, never>, 'sink'> | undefined,
  name: string | undefined,
): Trail {
  const sink = to?.sink
  if (!sink)
    throw invalid(
      `Step ${trail.links.length} of ${trail.name} sends to something that is no sink.`,
      'Give to() a table, stream or file with the function that makes its item, record or line.',
    )
  if (name !== undefined && !(typeof name === 'string' && name !== '' && name.length <= sinkNameMax))
    throw invalid(
      `Step ${trail.links.length} of ${trail.name} (sink) has ${JSON.stringify(String(name).slice(0, 200))} as its name.`,
      `Give a text of 1 to ${sinkNameMax} characters, or none: then it is named after what it writes to.`,
    )
  return tapped(trail, { kind: 'sink', name: name ?? sinkName(sink), sink })
}

/** What is behind a question mark in a URL may be a secret: it is in no name. */
const sinkName = (sink: SinkPlan): string =>
  `${sink.kind}:${sink.kind === 'http' ? (sink.url.split('?')[0] as string) : targetOf(sink)}`
