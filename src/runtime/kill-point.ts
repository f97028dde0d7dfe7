/**
 * Places of the code at which a process may be made to die, for the tests that kill a daemon just there
 * (test/faults/kill-points.test.ts). `MILLRACE_TEST_KILL_AT=commit:written:3` ends the process with SIGKILL when it
 * passes that place for the third time. Without the variable, passing one is a call of an empty function.
 */
export const killPoints = [
  'append:packed',
  'backup:linked',
  'close:drained',
  'close:synced',
  'commit:answered',
  'commit:gathered',
  'commit:marked',
  'commit:packed',
  'commit:written',
  'group:joined',
  'lease:granted',
  'open:aside',
  'open:checked',
  'open:identified',
  'open:loaded',
  'open:marked',
  'open:replayed',
  'outbox:cut',
  'outbox:delivered',
  'pipeline:barrier',
  'pipeline:committed',
  'pipeline:effects',
  'positions:committed',
  'producer:latched',
  'producer:stored',
  'server:answering',
  'shard:merged',
  'shard:opened',
  'shard:sealed',
  'sink:begun',
  'sink:renamed',
  'sink:synced',
  'sink:written',
  'stream:closed',
  'stream:created',
  'table:backfilled',
  'table:deleted',
  'table:swept',
  'trim:raised',
  'trim:removed',
  'trim:swept',
] as const

/** Places that are passed only when somebody changes a pipeline (test/pipelines/life-kills.long.test.ts). */
export const lifePoints = [
  'pipeline:lastBarrier',
  'pipeline:redeploying',
  'pipeline:redeployed',
  'pipeline:forgetting',
] as const

/** Places that are passed only when a shadow is made, takes the place of its pipeline, or goes. */
export const shadowPoints = [
  'pipeline:shadowed',
  'pipeline:swapping',
  'pipeline:swapped',
  'pipeline:taking',
  'pipeline:taken',
  'pipeline:dropped',
] as const

/** Places that are passed only while a source brings items of a table, or lines of files (test/pipelines/snapshot.test.ts). */
export const feedPoints = ['feed:part', 'feed:committed', 'feed:closed'] as const

/** Places that are passed only while messages come in from Kafka (test/kafka/inward.test.ts). */
export const intakePoints = ['intake:submitting', 'intake:stored'] as const

/** Places that are passed only while a mapping calls its function (test/functions/mappings/kill.test.ts). */
export const mappingPoints = ['mapping:answered', 'mapping:discarded', 'mapping:moved'] as const

export type KillPoint =
  | (typeof killPoints)[number]
  | (typeof lifePoints)[number]
  | (typeof shadowPoints)[number]
  | (typeof feedPoints)[number]
  | (typeof intakePoints)[number]
  | (typeof mappingPoints)[number]

const [room, place, count] = (process.env.MILLRACE_TEST_KILL_AT ?? '').split(':')
const wanted = `${room}:${place}`
let left = Number(count ?? 1)

function dieThere(point: KillPoint): void {
  if (point !== wanted) return
  left--
  if (left === 0) process.kill(process.pid, 'SIGKILL')
}

/** The code passes this place. */
export const killPoint: (point: KillPoint) => void = room ? dieThere : () => {}
