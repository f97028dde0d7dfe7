import { setTimeout as sleep } from 'node:timers/promises'
import { decisionsKept, type PolicyOverrides } from '../../balance/index.js'
import { MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, numberOf, ok, type Route, streamNamed } from './route.js'

/** Longest sampling of one request. */
const sampleMsMax = 10_000
const decisionsAtOnce = 100

/** Why shards split, and what they carry. */
export const balanceRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'streams/{name}/top',
    summary:
      'The open shards of a stream, hottest first: rates and load of the last 10 s, heavy keys, and the cut that a split would make now or why none helps. Keys are sampled only of hot shards, unless `sample` asks for it.',
    query: {
      sample: `milliseconds to sample the keys of every shard before the answer; 0 by default, ${sampleMsMax} at most`,
    },
    answer:
      '{stream, policy: in force, shards: [{shard, low, high, phase, load: in targets, by: "records", "bytes", "cpu" or "queue", recordsPerSecond, bytesPerSecond, cpu: threads, queueMs, isSampled, keys: [{hash, key, share, recordsPerSecond}], next?: {cuts, isolated, pieces} or {none, key?, remedies}, pauseLeftMs?}]}',
    errors: ['NOT_FOUND'],
    run: showTop,
  },
  {
    method: 'GET',
    path: 'streams/{name}/history',
    summary: `What was decided about the shards of a stream, newest first: splits, merges, and pauses of shards that no cut helps, with the figures. The newest ${decisionsKept} are kept.`,
    query: { limit: `most decisions; ${decisionsAtOnce} by default` },
    answer:
      '{decisions: [{number, time, kind: "split", "merge" or "park", reason, load: [measured], ...}]}; split: {parents, children, cuts, isolated: [{hash, key, share}], pieces: expected loads}; merge: {parents, children}; park: {shard, pauseMs, key?, remedies}',
    errors: ['NOT_FOUND'],
    run: async ({ daemon: { rooms }, names, query }) => {
      const stream = streamNamed(rooms, names[0])
      const limit = query.has('limit') ? Math.min(numberOf(query, 'limit'), decisionsKept) : decisionsAtOnce
      return ok({ decisions: limit === 0 ? [] : await rooms.balancer.history(stream.id, limit) })
    },
  },
]

async function showTop({ daemon, names, query, stopping }: Call): Promise<Answer> {
  const stream = streamNamed(daemon.rooms, names[0])
  const sampleMs = query.has('sample') ? Math.min(numberOf(query, 'sample'), sampleMsMax) : 0
  // It ends when its answer is there, not when its time is over: on a busy machine that is later.
  const endLook = sampleMs > 0 ? daemon.rooms.balancer.look(stream) : undefined
  try {
    if (sampleMs > 0) await sleep(sampleMs, undefined, { signal: stopping }).catch(() => {})
    // The rooms may be others by now.
    const { balancer } = daemon.rooms
    return ok({ stream: stream.name, policy: balancer.policy(stream), shards: balancer.top(stream) })
  } finally {
    endLook?.()
  }
}

/** Throws BAD_REQUEST. */
export function policyPatchOf(value: unknown): PolicyOverrides | null {
  if (value === null) return null
  if (typeof value !== 'object' || Array.isArray(value))
    throw new MillraceError('BAD_REQUEST', 'policy is an object, or null for that of the configuration.')
  return value as PolicyOverrides
}
