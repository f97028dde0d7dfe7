import type { InspectedPipeline, PipelineInput, ShardTime } from './answers.js'
import { element, pageLink } from './element.js'
import { count } from './format.js'
import { moment, table } from './parts.js'
import { ageText, delayText } from './pipeline-texts.js'

/** Which shard event time waits for, in a sentence. */
export function holding({ state, inputs, heldBy }: InspectedPipeline): HTMLElement {
  const hasTime = inputs.some(({ shards }) => shards)
  const text = heldBy
    ? `Shard ${heldBy.shard} of ${heldBy.source} holds event time back: ${heldBy.hasTime ? 'it is the least far' : 'it has given no record yet'}.`
    : hasTime
      ? 'Every shard is idle: none holds event time back.'
      : state === 'running'
        ? 'Nothing in this pipeline asks for event time.'
        : 'It does not run, so nothing moves event time.'
  return element('p', { class: 'holding' }, text)
}

export function inputTable(inputs: readonly PipelineInput[], at: number): HTMLElement {
  const shards = inputs.flatMap(({ source, shards: own = [] }) => own.map((time) => ({ source, ...time })))
  const left = inputs.reduce((sum, { moreShards = 0 }) => sum + moreShards, 0)
  return element(
    'div',
    {},
    table<PipelineInput>(
      'Sources',
      [
        { title: 'Source', kind: 'name', cell: ({ source }) => pageLink(source, 'shards', source) },
        { title: 'Group', kind: 'name', cell: ({ group }) => pageLink(group, 'groups', group) },
        { title: 'Lag in time', kind: 'number', cell: ({ lagSeconds }) => ageText(lagSeconds) },
        { title: 'Lag in records, at most', kind: 'number', cell: ({ lagRecords }) => count(lagRecords) },
        { title: 'Watermark', kind: 'text', cell: ({ shards: own }) => watermarkOf(own) },
        { title: 'Behind', kind: 'number', cell: ({ shards: own }) => delayText(lowestOf(own)?.watermark, at) },
      ],
      inputs,
      'It has no sources.',
    ),
    shards.length === 0 ? undefined : shardTable(shards, at),
    left === 0 ? undefined : element('p', { class: 'quiet' }, `and ${count(left)} more shards that are further`),
  )
}

function shardTable(shards: readonly ({ readonly source: string } & ShardTime)[], at: number): HTMLElement {
  return element(
    'details',
    {},
    element('summary', {}, 'Event time of each shard'),
    table<{ readonly source: string } & ShardTime>(
      'Event time of each shard',
      [
        { title: 'Shard', kind: 'text', cell: ({ shard }) => shard },
        { title: 'Source', kind: 'name', cell: ({ source }) => source },
        { title: 'Watermark', kind: 'text', cell: (time) => timeText(time) },
        { title: 'Behind', kind: 'number', cell: ({ watermark }) => delayText(watermark, at) },
        { title: 'State', kind: 'text', cell: ({ isIdle }) => (isIdle ? 'idle: holds nothing back' : 'counts') },
      ],
      shards,
      'There is no shard.',
    ),
  )
}

/** The daemon lists what holds event time back first. */
const lowestOf = (shards: readonly ShardTime[] = []): ShardTime | undefined => shards.find(({ isIdle }) => !isIdle)

function watermarkOf(shards: readonly ShardTime[] | undefined): HTMLElement | string {
  if (!shards) return '–'
  const lowest = lowestOf(shards)
  return lowest ? timeText(lowest) : 'idle'
}

const timeText = ({ watermark }: ShardTime): HTMLElement | string =>
  watermark === undefined ? 'none yet' : moment(watermark)
