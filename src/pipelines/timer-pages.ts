import type { TimeDomain } from '../operators/task/index.js'
import { compareHash, type Hash64 } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { decodeTimer, type RowStart, type TimerKey, timersFrom, timersOfGroups } from '../workers/index.js'

/** The keys of a task, by their hashes: from `low` to `high`. */
export interface HashRange {
  readonly low: Hash64
  readonly high: Hash64
}

export interface WantedTimers {
  readonly start: RowStart
  readonly state: number
  readonly domain: TimeDomain
  readonly from: number
  /** What the page before gave. */
  readonly after: unknown
  readonly limit: number
}

/** Timers by the numbers of their states. */
export interface StoredTimerPage {
  readonly timers: readonly TimerKey[]
  readonly next: unknown
}

/** Where reading stands in each key group that has more: the last row that was given, or none yet. */
type Cursor = readonly { readonly group: number; readonly after: Uint8Array | undefined }[]

/** Rows of one key group that were read and not given yet. */
interface GroupRows {
  readonly group: number
  rows: readonly Buffer[]
  at: number
  after: Buffer | undefined
  hasMore: boolean
}

const pageBytesMax = 1 << 20
/** Rows that are read of each key group at once, at least. */
const groupRowsLeast = 16

/**
 * Committed timers of one state and domain in the order of their times, out of the key groups of a task: each group is in
 * order by itself, so the groups are merged.
 */
export async function timerPage(
  storage: Pick<Storage, 'page'>,
  wanted: WantedTimers,
  range: HashRange,
): Promise<StoredTimerPage> {
  const { start, state, domain, from, after, limit } = wanted
  if (after === undefined) {
    const all = await fewTimers(storage, wanted, range)
    if (all) return all
  }
  const cursor = (after as Cursor | undefined) ?? groupsOf(range)
  const rowsMax = Math.max(groupRowsLeast, Math.ceil((2 * limit) / cursor.length))
  const read = async (group: GroupRows): Promise<void> => {
    const { gte, lt } = timersFrom(start, { state, group: group.group, domain, from })
    const page = await storage.page({
      ...(group.after ? { gt: group.after } : { gte }),
      lt,
      limit: rowsMax,
      bytesMax: pageBytesMax,
      values: false,
    })
    group.rows = page.keys
    group.at = 0
    group.hasMore = page.more
  }
  const groups = cursor.map(
    ({ group, after: last }): GroupRows => ({
      group,
      rows: [],
      at: 0,
      after: last && Buffer.from(last),
      hasMore: true,
    }),
  )
  await Promise.all(groups.map(read))
  const timers: TimerKey[] = []
  while (timers.length < limit) {
    const first = await earliest(groups, read)
    if (!first) break
    const row = first.rows[first.at++] as Buffer
    first.after = row
    const timer = decodeTimer(row)
    if (isWithin(range, timer)) timers.push(timer)
  }
  const rest = groups.filter((group) => group.at < group.rows.length || group.hasMore)
  return {
    timers,
    next: rest.length === 0 ? undefined : rest.map(({ group, after: last }) => ({ group, after: last })),
  }
}

/** All of them in one read, where they fit into one page; the usual case. */
async function fewTimers(
  storage: Pick<Storage, 'page'>,
  { start, state, domain, from, limit }: WantedTimers,
  range: HashRange,
): Promise<StoredTimerPage | undefined> {
  const { keys, more } = await storage.page({
    ...timersOfGroups(start, state, range.low.hi >>> 24, range.high.hi >>> 24),
    limit,
    bytesMax: pageBytesMax,
    values: false,
  })
  if (more) return undefined
  const timers = keys
    .map(decodeTimer)
    .filter((timer) => timer.domain === domain && timer.time >= from && isWithin(range, timer))
    .sort((a, b) => a.time - b.time)
  return { timers, next: undefined }
}

/** The group whose next row is due first; one that has been read out is read on before. */
async function earliest(
  groups: readonly GroupRows[],
  read: (group: GroupRows) => Promise<void>,
): Promise<GroupRows | undefined> {
  let first: GroupRows | undefined
  for (const group of groups) {
    while (group.at === group.rows.length && group.hasMore) await read(group)
    if (group.at === group.rows.length) continue
    if (!first || isEarlier(group.rows[group.at] as Buffer, first.rows[first.at] as Buffer)) first = group
  }
  return first
}

/** Of the same state and domain: what differs is the key group, which does not count, and what follows it. */
const isEarlier = (a: Buffer, b: Buffer): boolean => Buffer.compare(a.subarray(timeAt), b.subarray(timeAt)) < 0
const timeAt = 11

const groupsOf = ({ low, high }: HashRange): Cursor =>
  Array.from({ length: (high.hi >>> 24) - (low.hi >>> 24) + 1 }, (_, i) => ({
    group: (low.hi >>> 24) + i,
    after: undefined,
  }))

/** Only the first and the last group of a source's shard have keys of others too. */
function isWithin({ low, high }: HashRange, { hashHi, hashLo }: TimerKey): boolean {
  const hash = { hi: hashHi, lo: hashLo }
  return compareHash(hash, low) >= 0 && compareHash(hash, high) <= 0
}
