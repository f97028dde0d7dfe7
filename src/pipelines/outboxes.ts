import type { Commit } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import { deadLettersName, isInternal, isSnapshot, outboxName, type ShardedLog, type Stream } from '../log/index.js'
import type { NodeId, PlanDescription, SinkDescription } from '../operators/index.js'
import { type Clock, type Logger, MillraceError } from '../runtime/index.js'
import { type Deliverer, HttpDeliverer, OpenSearchDeliverer, Outbox, storedOutbox } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import type { WorkerPool } from '../workers/index.js'
import { type KafkaAccess, KafkaDeliverer } from './kafka-deliverer.js'
import type { OutboxRow, PipelineRow } from './rows.js'
import { UserDeliverer } from './user-deliverer.js'

/** What is behind an outbox whose results are thrown away when nothing more of them is kept. */
const outboxRetention = { bytes: 1 }

type OutsideSink = SinkDescription & Required<Pick<SinkDescription, 'delivery'>>

interface PlanOutbox {
  readonly node: NodeId
  readonly name: string
  readonly sink: OutsideSink
}

/** The sinks of a plan that go outside. */
export function outsideSinks({ nodes }: PlanDescription): readonly PlanOutbox[] {
  return nodes.flatMap((node, id) => {
    if (node.kind !== 'sink' || !node.sink.delivery) return []
    return [{ node: id, name: node.name, sink: node.sink as OutsideSink }]
  })
}

const labelCharactersMax = 60

/** Names of outboxes as parts of the names of streams and groups, by the names of their sinks; none that is taken already. */
export function outboxLabels(
  names: readonly string[],
  isTaken: (label: string) => boolean = () => false,
): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  const taken = new Set<string>()
  for (const name of names) {
    // What is behind a question mark in a URL may be a secret.
    const plain = (name.split('?')[0] as string).replaceAll(/[^A-Za-z0-9_.-]+/g, '-').slice(0, labelCharactersMax)
    let label = plain
    for (let i = 2; taken.has(label) || isTaken(label); i++) label = `${plain}-${i}`
    taken.add(label)
    labels.set(name, label)
  }
  return labels
}

/**
 * The streams of the outboxes that a pipeline, or a newer version of one, has and `present` does not. What a deploy that was
 * cut off left behind under their names is closed. No number and no name of `present` is given again.
 */
export async function createOutboxes(
  log: ShardedLog,
  plan: PlanDescription,
  present: { readonly names: ReadonlySet<string>; readonly rows: readonly OutboxRow[] } = {
    names: new Set(),
    rows: [],
  },
): Promise<Record<string, OutboxRow>> {
  const names = outsideSinks(plan).flatMap(({ name }) => (present.names.has(name) ? [] : [name]))
  const groups = new Set(present.rows.map(({ group }) => group))
  const labels = outboxLabels(names, (label) => groups.has(outboxName(plan.name, label)))
  let number = Math.max(-1, ...present.rows.map((row) => row.number)) + 1
  const rows: Record<string, OutboxRow> = {}
  for (const name of names) {
    const label = labels.get(name) as string
    const group = outboxName(plan.name, label)
    const stream = await createInternal(log, group, { retention: outboxRetention, policy: { enabled: false } })
    const dead = await createInternal(log, deadLettersName(plan.name, label), {})
    rows[name] = { number: number++, group, stream: stream.id, deadLetters: dead.id }
  }
  return rows
}

/** A stream that the daemon keeps for itself. */
export async function createInternal(
  log: ShardedLog,
  name: string,
  own: Pick<Stream, 'policy' | 'retention'>,
): Promise<Stream> {
  const left = log.streamNamed(name)
  if (left) await log.closeStream(left.id)
  return log.createStream({ name, kind: 'plain', shards: 1, images: { old: false, new: false }, own })
}

/** Closes the streams of outboxes: their records go as those of deleted streams do. */
export async function closeOutboxes(log: ShardedLog, outboxes: readonly OutboxRow[]): Promise<void> {
  for (const { stream, deadLetters } of outboxes)
    for (const id of [stream, deadLetters])
      if (log.stream(id) && log.stream(id)?.closedAt === undefined) await log.closeStream(id)
}

/** Closes what no pipeline has: a deploy was cut off between its streams and its own row. */
export async function closeOrphans(log: ShardedLog, rows: readonly PipelineRow[]): Promise<void> {
  const used = new Set(
    rows.flatMap(({ outboxes, sources }) => [
      ...Object.values(outboxes ?? {}).flatMap((each) => [each.stream, each.deadLetters]),
      ...sources.map(({ stream }) => stream),
    ]),
  )
  for (const stream of log.streams())
    if (isInternal(stream) && !isSnapshot(stream) && stream.closedAt === undefined && !used.has(stream.id))
      await log.closeStream(stream.id)
}

export interface OutboxSurroundings {
  readonly storage: Storage
  readonly commit: Commit
  readonly log: ShardedLog
  readonly groups: Groups
  readonly workers: WorkerPool
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly idOf: (sequence: number) => string
  readonly limits: { readonly outboxBytesMax: number }
  readonly kafka: KafkaAccess
}

/** The outboxes of a pipeline as its last commit left them, by the nodes of their sinks. */
export async function openOutboxes(
  { id, plan, outboxes = {} }: PipelineRow,
  around: OutboxSurroundings,
  moduleFile: string,
  onRoom: () => void,
): Promise<ReadonlyMap<NodeId, Outbox>> {
  const opened = new Map<NodeId, Outbox>()
  for (const { node, name, sink } of outsideSinks(plan)) {
    const row = outboxes[name]
    const group = row && around.groups.group(row.group)
    if (!row || !group)
      throw new MillraceError('STORE_CORRUPT', `The pipeline ${plan.name} is stored without the outbox of ${name}.`)
    const outbox = new Outbox({
      ...around,
      pipeline: id,
      number: row.number,
      label: row.group,
      stream: row.stream,
      deadLetters: row.deadLetters,
      group,
      codec: sink.kind === 'user' ? 'bytes' : 'json',
      stored: await storedOutbox(around.storage, id, row.number),
      plan: sink.delivery,
      deliverer: delivererOf(plan.name, node, sink, around, moduleFile),
      bytesMax: around.limits.outboxBytesMax,
      onRoom,
    })
    opened.set(node, outbox)
  }
  return opened
}

function delivererOf(
  pipeline: string,
  node: NodeId,
  { delivery, target, http, kafka, openSearch }: OutsideSink,
  { clock, workers, kafka: access, commit, logger }: OutboxSurroundings,
  file: string,
): Deliverer {
  const { timeoutMs, batchMax } = delivery
  if (http) return new HttpDeliverer({ ...http, url: target, isSingle: batchMax === 1, timeoutMs }, clock)
  if (kafka) {
    const { compression, cluster } = kafka
    const brokers = kafka.brokers.length > 0 ? kafka.brokers : access.brokers
    const topic = access.open({ topic: target, brokers, cluster, compression, clientId: `millrace-${pipeline}` })
    return new KafkaDeliverer(topic, access, clock, timeoutMs)
  }
  if (openSearch) {
    const nextVersion = (): number => commit.durableNextSequence
    return new OpenSearchDeliverer({ ...openSearch, index: target, timeoutMs }, { clock, logger, nextVersion })
  }
  return new UserDeliverer({ workers, clock, timeoutMs, sink: { file, label: pipeline, node } })
}

/** The groups that deliver outboxes, as they are made. */
export const outboxGroupsOf = (outboxes: Readonly<Record<string, OutboxRow>>) =>
  Object.values(outboxes).map(({ group, stream }) => ({ name: group, stream, start: 'oldest' as const }))
