import type { Group, Member, MetricsAnswer, Position, Shard } from './answers.js'
import { read, readIfThere } from './api.js'
import { element, pageLink } from './element.js'
import { count, exact, seconds } from './format.js'
import type { Page, Showing } from './page.js'
import { facts, heading, table } from './parts.js'

export const groupsPage: Page = {
  name: 'groups',
  title: 'Groups',
  everyMs: 5000,
  show: ({ names, signal }: Showing) => (names[0] === undefined ? showAll(signal) : showOne(names[0], signal)),
}

async function showAll(signal: AbortSignal): Promise<readonly Node[]> {
  const [{ groups }, metrics] = await Promise.all([
    read<{ groups: readonly Group[] }>('groups', signal),
    read<MetricsAnswer>('metrics?names=group_lag_seconds', signal),
  ])
  const ages = new Map(metrics.samples.map(({ labels, value }) => [labels.group, value]))
  return [
    element('h1', {}, 'Groups'),
    table<Group>(
      'Groups',
      [
        { title: 'Group', kind: 'name', cell: ({ name }) => pageLink(name, 'groups', name) },
        { title: 'Stream', kind: 'name', cell: ({ stream }) => streamLink(stream) },
        { title: 'State', kind: 'text', cell: ({ state }) => stateText(state) },
        { title: 'Lag in time', kind: 'number', cell: ({ name }) => age(ages.get(name)) },
        { title: 'Lag in records, at most', kind: 'number', cell: ({ lag }) => count(lag) },
        { title: 'Shards', kind: 'number', cell: ({ positions }) => positions.filter(({ ended }) => !ended).length },
        { title: 'Members', kind: 'number', cell: ({ members }) => members?.length ?? '–' },
      ],
      groups,
      'There are no groups. Pipelines and bridges have one each.',
    ),
  ]
}

async function showOne(name: string, signal: AbortSignal): Promise<readonly Node[]> {
  const [group, metrics] = await Promise.all([
    read<Group>(`groups/${encodeURIComponent(name)}`, signal),
    read<MetricsAnswer>('metrics?names=group_lag_seconds', signal),
  ])
  const { stream } = group
  const answer =
    stream === undefined
      ? undefined
      : await readIfThere<{ shards: readonly Shard[] }>(`streams/${encodeURIComponent(stream)}/shards`, signal)
  const newest = new Map(answer?.shards.map((shard) => [shard.id, shard.newestSequence]))
  return [
    element('h1', {}, `Group ${name}`),
    element('p', {}, pageLink('All groups', 'groups')),
    facts([
      ['Stream', streamLink(stream)],
      ['State', stateText(group.state)],
      ['Lag in time', age(metrics.samples.find(({ labels }) => labels.group === name)?.value)],
      ['Lag in records, at most', count(group.lag)],
    ]),
    heading('Positions'),
    positionTable(group.positions, newest),
    ...(group.members ? [heading('Members'), memberTable(group.members)] : []),
  ]
}

function positionTable(positions: readonly Position[], newest: ReadonlyMap<number, number>): HTMLElement {
  return table<Position>(
    'Positions',
    [
      { title: 'Shard', kind: 'text', cell: ({ shard }) => shard },
      { title: 'Next', kind: 'number', cell: ({ next, ended }) => (ended ? '–' : exact(next)) },
      { title: 'Newest', kind: 'number', cell: ({ shard }) => exactOr(newest.get(shard)) },
      { title: 'State', kind: 'text', cell: (position) => stateOf(position, newest.get(position.shard)) },
    ],
    // What is still being read is what somebody looks for.
    positions.toSorted((a, b) => Number(a.ended) - Number(b.ended) || a.shard - b.shard),
    'It has no position yet.',
  )
}

function stateOf({ next, ended }: Position, newest: number | undefined): string {
  if (ended) return 'read to its end'
  if (newest === undefined) return 'reading'
  return next > newest ? 'at the newest record' : 'behind'
}

function memberTable(members: readonly Member[]): HTMLElement {
  return table<Member>(
    'Members',
    [
      { title: 'Member', kind: 'name', cell: ({ member }) => member },
      { title: 'Shards', kind: 'name', cell: ({ shards }) => shards?.join(', ') },
    ],
    members,
    'Nobody reads for it at this moment.',
  )
}

const stateText = (state: Group['state']): string => (state === 'trimmed' ? 'must seek' : (state ?? '–'))
const exactOr = (value: number | undefined): string => (value === undefined ? '–' : exact(value))
const age = (value: number | undefined): string => (value === undefined ? '–' : value === 0 ? 'none' : seconds(value))
const streamLink = (stream: string | undefined) =>
  stream === undefined ? undefined : pageLink(stream, 'shards', stream)
