import { Family } from '../commit/index.js'
import type { Storage } from '../storage/index.js'
import { rowsWith } from './rows.js'
import type { RunState } from './run.js'
import { decodeTimes, type StoredTimes } from './time-rows.js'

const pageRows = 1000
const pageBytesMax = 1 << 20

/** What the last commit of a pipeline left behind, for its next run. */
export async function storedState(storage: Pick<Storage, 'page'>, pipeline: number): Promise<RunState> {
  const [hasState, hasTimers, times] = await Promise.all([
    hasAny(storage, rowsWith(Family.state, pipeline)),
    hasAny(storage, rowsWith(Family.timer, pipeline)),
    storedTimes(storage, pipeline),
  ])
  return { isNew: !hasState && !hasTimers, times }
}

async function hasAny(storage: Pick<Storage, 'page'>, range: { gte: Buffer; lt: Buffer }): Promise<boolean> {
  const { keys } = await storage.page({ ...range, limit: 1, bytesMax: 1, values: false })
  return keys.length > 0
}

async function storedTimes(storage: Pick<Storage, 'page'>, pipeline: number): Promise<StoredTimes> {
  const { gte, lt } = rowsWith(Family.eventTime, pipeline)
  const keys: Buffer[] = []
  const values: Buffer[] = []
  for (let after: Buffer | undefined; ; after = keys.at(-1)) {
    const from = after ? { gt: after } : { gte }
    const page = await storage.page({ ...from, lt, limit: pageRows, bytesMax: pageBytesMax })
    keys.push(...page.keys)
    values.push(...page.values)
    if (!page.more) return decodeTimes(keys, values)
  }
}
