import type { ShardedLog, StreamId } from '../log/index.js'
import { type NodeDescription, type NodeId, nodeLabel, type PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import type { KeySchema } from '../tables/index.js'
import { sourceName } from './plan-steps.js'
import { groupNameOf, type PipelineRow, type SourceRow } from './rows.js'

export interface SourceRooms {
  readonly log: Pick<ShardedLog, 'streamNamed'>
  readonly tables: {
    schema(name: string): KeySchema | undefined
    changeLog(name: string): Promise<StreamId>
  }
}

/**
 * Where the sources of a plan read, in the order of their nodes. Sources that an older version reads too go on where they
 * stand. Throws NOT_FOUND, CONFLICT.
 */
export async function sourcesOf(plan: PlanDescription, rooms: SourceRooms, older?: PipelineRow): Promise<SourceRow[]> {
  const sources: SourceRow[] = []
  const left = (older?.sources ?? []).filter(({ feed }) => feed === undefined)
  const feeds = (older?.sources ?? []).filter(({ feed }) => feed !== undefined)
  const names = new Set([...[...left, ...feeds].map(({ group }) => group), ...(older?.dropped?.groups ?? [])])
  for (const [node, { kind }] of plan.nodes.entries()) {
    if (kind !== 'source' && kind !== 'through') continue
    if (isWithoutStream(plan, node)) {
      const at = feeds.findIndex((feed) => isSameSource(plan, node, older as PipelineRow, feed.node))
      for (const known of at < 0 ? [] : feeds.splice(at, 1)) sources.push({ ...known, node })
      continue
    }
    const source = await sourceOf(plan, node, rooms)
    const label = nodeLabel(plan.nodes[node] as NodeDescription)
    const at = left.findIndex((each) => nodeLabel(older?.plan.nodes[each.node] as NodeDescription) === label)
    const [before] = at < 0 ? [] : left.splice(at, 1)
    if (before && before.stream !== source.stream)
      throw new MillraceError(
        'CONFLICT',
        `The ${label} that the pipeline ${plan.name} reads was deleted and made anew.`,
        {
          remedy: 'Delete the pipeline and deploy it anew.',
        },
      )
    const first = groupNameOf(plan.name)
    const isFirst = sources.length === 0 && !names.has(first)
    const group = before?.group ?? (isFirst ? first : furtherGroup(plan, node, names))
    names.add(group)
    sources.push({ node, group, ...source })
    // A snapshot that is under way goes on.
    for (const feed of feeds) if (before && feed.node === before.node) sources.push({ ...feed, node })
  }
  return sources
}

/** Whether a source reads files or a Kafka topic: they have no stream but the one that a feed fills. */
function isWithoutStream({ nodes }: PlanDescription, id: NodeId): boolean {
  const node = nodes[id]
  return node?.kind === 'source' && (node.source.kind === 'files' || node.source.kind === 'kafka')
}

const isSameSource = (plan: PlanDescription, node: NodeId, older: PipelineRow, olderNode: NodeId): boolean =>
  isWithoutStream(older.plan, olderNode) &&
  nodeLabel(older.plan.nodes[olderNode] as NodeDescription) === nodeLabel(plan.nodes[node] as NodeDescription)

async function sourceOf(
  plan: PlanDescription,
  id: NodeId,
  { log, tables }: SourceRooms,
): Promise<{ stream: StreamId; hashKeyName: string | undefined }> {
  const node = plan.nodes[id]
  if (node?.kind === 'source' && node.source.kind === 'table') {
    const { name } = node.source
    const schema = tables.schema(name)
    if (!schema)
      throw new MillraceError('NOT_FOUND', `The pipeline ${plan.name} reads the table ${name}, which is not there.`, {
        remedy: 'Create the table first.',
      })
    return { stream: await tables.changeLog(name), hashKeyName: schema.hash.name }
  }
  const name = sourceName(plan, id)
  const stream = log.streamNamed(name)
  if (stream?.kind !== 'plain')
    throw new MillraceError('NOT_FOUND', `The pipeline ${plan.name} reads the stream ${name}, which is not there.`, {
      remedy: `Make it with: millrace streams create ${name}`,
    })
  return { stream: stream.id, hashKeyName: undefined }
}

/** The group of a source that is not the pipeline's first; two that read the same have a number, too. */
export function furtherGroup(plan: PlanDescription, node: NodeId, names: ReadonlySet<string>, kind = ''): string {
  const name = `${groupNameOf(plan.name)}:${kind}${sourceName(plan, node)}`
  for (let i = 2; ; i++) {
    const each = i === 2 && !names.has(name) ? name : `${name}#${i}`
    if (!names.has(each)) return each
  }
}
