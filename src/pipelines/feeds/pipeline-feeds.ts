import type { Commit } from '../../commit/index.js'
import type { Groups, NewGroup } from '../../groups/index.js'
import { feedName, isFeed, type ShardedLog, type StartPosition, type StreamId } from '../../log/index.js'
import type { NodeId, PlanDescription } from '../../operators/index.js'
import { type Clock, MillraceError } from '../../runtime/index.js'
import type { Tables } from '../../tables/index.js'
import type { KafkaAccess } from '../kafka-deliverer.js'
import { createInternal, outboxLabels } from '../outboxes.js'
import { sourceName } from '../plan-steps.js'
import type { PipelineRow, SourceRow } from '../rows.js'
import { furtherGroup } from '../sources.js'
import { Feeder } from './feeder.js'
import { FileFeed } from './file-feed.js'
import { type FilesFolder, foundFiles } from './found-files.js'
import { KafkaFeed } from './kafka-feed.js'
import { SnapshotFeed } from './snapshot-feed.js'

/** What was brought is thrown away when nothing more of it is needed. */
const own = { retention: { bytes: 1 }, policy: { enabled: false } }

export interface FeedRooms {
  readonly log: ShardedLog
  readonly groups: Groups
  readonly commit: Commit
  readonly clock: Clock
  readonly tables: Pick<Tables, 'items'>
  readonly filesFolder: string
  readonly filesOutside: boolean
  readonly kafka: KafkaAccess
}

/** What each source of a plan is to be fed with, where it is. */
function feedOf({ nodes }: PlanDescription, id: NodeId): SourceRow['feed'] {
  const node = nodes[id]
  if (node?.kind !== 'source') return undefined
  if (node.source.kind === 'files' || node.source.kind === 'kafka') return node.source.kind
  return node.source.kind === 'table' && node.source.snapshot ? 'snapshot' : undefined
}

/**
 * Makes the streams of the feeds that a pipeline, or a newer version of one, needs and does not have. A source that an older
 * version read goes on where it stands, and its table is not read again. Throws NOT_FOUND where files are not there.
 */
export async function createFeeds(
  { log, ...folder }: Pick<FeedRooms, 'log' | 'filesFolder' | 'filesOutside'>,
  plan: PlanDescription,
  sources: readonly SourceRow[],
  older?: PipelineRow,
): Promise<SourceRow[]> {
  const known = new Set((older?.sources ?? []).map(({ group }) => group))
  const names = new Set([...known, ...sources.map(({ group }) => group), ...(older?.dropped?.groups ?? [])])
  const made: SourceRow[] = []
  for (const node of plan.nodes.keys()) {
    const feed = feedOf(plan, node)
    const source = sources.find((each) => each.node === node)
    if (feed === undefined || (source && known.has(source.group))) continue
    const files = await filesOf(plan, node, folder)
    const group = furtherGroup(plan, node, names, `${feed}:`)
    names.add(group)
    const label = [...outboxLabels([sourceName(plan, node)], (each) => isUsed(log, feedName(plan.name, each))).values()]
    const stream = await createInternal(log, feedName(plan.name, label[0] as string), own)
    made.push({ node, group, stream: stream.id, hashKeyName: source?.hashKeyName, feed, ...files })
  }
  return made
}

async function filesOf({ nodes }: PlanDescription, id: NodeId, folder: FilesFolder): Promise<Pick<SourceRow, 'files'>> {
  const node = nodes[id]
  if (node?.kind !== 'source' || node.source.kind !== 'files') return {}
  return { files: await foundFiles(node.source, folder) }
}

const isUsed = (log: ShardedLog, name: string): boolean => log.streamNamed(name) !== undefined

/** The groups of sources that are new, as they are made: changes of a table follow its snapshot, from now on. */
export function newGroupsOf(sources: readonly SourceRow[], start: StartPosition): NewGroup[] {
  const snapshots = new Set(sources.flatMap(({ node, feed }) => (feed === 'snapshot' ? [node] : [])))
  return sources.map(({ node, group, stream, feed }) => {
    if (feed !== undefined) return { name: group, stream, start: 'oldest' }
    return { name: group, stream, start: snapshots.has(node) ? 'newest' : start }
  })
}

/** Closes the streams of feeds: their records go as those of deleted streams do. */
export async function closeFeeds(log: ShardedLog, sources: readonly { readonly stream: StreamId }[]): Promise<void> {
  for (const source of sources) {
    const stream = log.stream(source.stream)
    if (stream && isFeed(stream) && stream.closedAt === undefined) await log.closeStream(stream.id)
  }
}

/** What fills the streams of a pipeline's feeds, each where its last commit left it. */
export function feedersOf({ id, plan, sources, bounded }: PipelineRow, rooms: FeedRooms): Feeder[] {
  return sources.flatMap((source) => {
    const node = plan.nodes[source.node]
    if (source.feed === undefined || node?.kind !== 'source') return []
    const group = groupOf(source, rooms)
    const around = { ...rooms, pipeline: id, stream: source.stream, group }
    if (node.source.kind === 'files') {
      const { filesFolder: folder, filesOutside: isOutsideAllowed } = rooms
      const feed = new FileFeed({ plan: node.source, paths: source.files ?? [], folder, isOutsideAllowed })
      return [new Feeder({ ...around, feed }) as unknown as Feeder]
    }
    if (node.source.kind === 'kafka') {
      const { name: topic, start, brokers, cluster } = node.source
      const { kafka } = rooms
      const reading = kafka.read({
        topic,
        start,
        cluster,
        brokers: brokers.length > 0 ? brokers : kafka.brokers,
        clientId: `millrace-${plan.name}`,
        isBounded: bounded !== undefined,
      })
      return [new Feeder({ ...around, feed: new KafkaFeed(reading) }) as unknown as Feeder]
    }
    const changes = sources.find((each) => each.node === source.node && each.feed === undefined)
    if (node.source.kind !== 'table' || !changes)
      throw new MillraceError('STORE_CORRUPT', `The pipeline ${plan.name} is stored without the source of a snapshot.`)
    const feed = new SnapshotFeed({ ...rooms, table: node.source.name, changes: groupOf(changes, rooms) })
    return [new Feeder({ ...around, feed }) as unknown as Feeder]
  })
}

function groupOf({ group }: SourceRow, { groups }: FeedRooms) {
  const found = groups.group(group)
  if (!found) throw new MillraceError('STORE_CORRUPT', `The group ${group} of a feed is missing.`)
  return found
}
