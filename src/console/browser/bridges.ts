import type { Bridge, BridgeError } from './answers.js'
import { read } from './api.js'
import { bridgeStateText } from './bridge-texts.js'
import { type Child, element, pageLink } from './element.js'
import { bytes, count, perSecond, seconds, shortened } from './format.js'
import type { Page, Showing } from './page.js'
import { facts, figures, heading, moment, table } from './parts.js'
import { command } from './shell.js'

/** Letters of an error that are shown. */
const messageMax = 500
/** Rates that a sparkline shows. */
const pastMax = 60

export const bridgesPage: Page = {
  name: 'bridges',
  title: 'Bridges',
  everyMs: 3000,
  show: ({ names, signal }: Showing) => (names[0] === undefined ? showAll(signal) : showOne(names[0], signal)),
}

/** What a bridge had delivered when this page looked before, by its name. */
const looks = new Map<string, { readonly at: number; readonly records: number; readonly rates: number[] }>()

/** Records a second since the look before, the newest last; empty at the first look. */
function ratesOf({ name, statistics: { records } }: Bridge): readonly number[] {
  const at = performance.now()
  const before = looks.get(name)
  const rates = before?.rates ?? []
  // After a restart of the daemon it counts from 0 again.
  if (before && at > before.at) rates.push(Math.max(0, (records - before.records) / ((at - before.at) / 1000)))
  if (rates.length > pastMax) rates.shift()
  looks.set(name, { at, records, rates })
  return rates
}

const rateText = (rates: readonly number[]): string => {
  const newest = rates.at(-1)
  return newest === undefined ? '–' : perSecond(newest)
}

async function showAll(signal: AbortSignal): Promise<readonly Node[]> {
  const { bridges } = await read<{ bridges: readonly Bridge[] }>('bridges', signal)
  return [
    element('h1', {}, 'Bridges'),
    table<Bridge>(
      'Bridges',
      [
        { title: 'Bridge', kind: 'name', cell: ({ name }) => pageLink(name, 'bridges', name) },
        { title: 'From', kind: 'name', cell: (bridge) => (isIn(bridge) ? topicText(bridge) : streamOf(bridge)) },
        { title: 'To', kind: 'name', cell: (bridge) => (isIn(bridge) ? streamOf(bridge) : topicText(bridge)) },
        { title: 'State', kind: 'text', cell: ({ state }) => bridgeStateText(state) },
        { title: 'Now', kind: 'number', cell: (bridge) => rateText(ratesOf(bridge)) },
        { title: 'Lag in records', kind: 'number', cell: ({ statistics }) => count(statistics.lagRecords) },
        { title: 'Lag in time', kind: 'number', cell: ({ statistics }) => ageText(statistics.lagSeconds) },
        {
          title: 'Newest error',
          kind: 'name',
          cell: ({ state }) => shortened(errorOf(state)?.message ?? '–', messageMax),
        },
      ],
      bridges.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      'There are no bridges. millrace bridges create NAME mirrors a stream to a Kafka topic, or stores what one has.',
    ),
  ]
}

async function showOne(name: string, signal: AbortSignal): Promise<readonly Node[]> {
  const bridge = await read<Bridge>(`bridges/${encodeURIComponent(name)}`, signal)
  const { state, statistics } = bridge
  const rates = ratesOf(bridge)
  const error = errorOf(state)
  return [
    element('h1', {}, `Bridge ${name}`),
    element('p', {}, pageLink('All bridges', 'bridges')),
    element('section', { 'aria-label': 'What is wrong' }, error ? errorList(error, state) : undefined),
    figures([
      { title: 'Records', value: rateText(rates), past: rates },
      { title: 'Lag in records', value: count(statistics.lagRecords) },
      { title: 'Lag in time', value: ageText(statistics.lagSeconds) },
      { title: `${isIn(bridge) ? 'Stored' : 'Delivered'} since the start`, value: count(statistics.records) },
      { title: 'Bytes since the start', value: bytes(statistics.bytes) },
      { title: 'Failed attempts', value: count(statistics.errors) },
      { title: 'Dead letters', value: count(statistics.deadLetters) },
    ]),
    heading('The bridge'),
    facts(factsOf(bridge)),
    heading('What to do'),
    facts(commands(bridge)),
  ]
}

type Facts = readonly (readonly [string, Child])[]

const isIn = ({ direction }: Bridge): boolean => direction === 'in'

const topicText = ({ topic }: Bridge): string => `Kafka: ${topic}`

/** What is mirrored, or where a bridge in stores what it reads. */
function streamOf({ source, into }: Bridge): Child {
  if (into === undefined) return pageLink(source, 'shards', source)
  if (into.startsWith('table:')) return pageLink(into, 'tables')
  return pageLink(into, 'shards', into.slice('stream:'.length))
}

function factsOf(bridge: Bridge): Facts {
  const { topic, partitions, options, createdAt, state } = bridge
  const { brokers, cluster, format, images } = options
  return [
    ['State', bridgeStateText(state)],
    ['Since', moment(state.since)],
    ['Topic', topic],
    ['Partitions', partitions === undefined ? 'not reached yet' : count(partitions)],
    cluster === undefined ? ['Brokers', brokers?.join(', ')] : ['Cluster', cluster],
    ...(isIn(bridge) ? factsIn(bridge) : factsOut(bridge)),
    ['Format', format],
    ['Items are', images === 'plain' ? 'plain JSON' : "DynamoDB's JSON"],
    ['Created', moment(createdAt)],
  ]
}

function factsOut(bridge: Bridge): Facts {
  const { group, options, converter, snapshot } = bridge
  return [
    ['Source', streamOf(bridge)],
    ['Group', pageLink(group, 'groups', group)],
    ['Guarantee', options.guarantee === 'exactly-once' ? 'exactly once' : 'at least once'],
    ['Converter', converter ? `module ${converter.hash.slice(0, 12)}` : 'none'],
    ['Schema', options.schema?.$id ?? 'none'],
    ['What cannot be sent', options.refused === 'dead-letter' ? 'becomes a dead letter' : 'stops the bridge'],
    ['Snapshot', snapshot === undefined ? 'none' : snapshot === 'running' ? 'on its way' : 'delivered'],
  ]
}

function factsIn(bridge: Bridge): Facts {
  const { group, options } = bridge
  return [
    ['Stored in', streamOf(bridge)],
    ['Group in Kafka', group],
    ['Guarantee', 'exactly once'],
    ['What cannot be stored', options.unreadable === 'stop' ? 'stops the bridge' : 'becomes a dead letter'],
  ]
}

function errorList({ code, message, remedy }: BridgeError, state: Bridge['state']): HTMLElement {
  const isFailed = state.kind === 'failed'
  return element(
    'ul',
    { class: 'alarms' },
    element(
      'li',
      { class: isFailed ? 'critical' : 'warning' },
      element('strong', {}, code),
      ` ${shortened(message, messageMax)} `,
      element(
        'span',
        { class: 'quiet' },
        isFailed ? `${remedy} ` : 'It is tried again by itself. ',
        moment(state.since),
      ),
    ),
  )
}

/** The console changes nothing: it says what would. */
function commands(bridge: Bridge): Facts {
  const { name, state } = bridge
  const verb = state.kind === 'paused' || state.kind === 'failed' ? 'resume' : 'pause'
  const goOn = [`To ${verb} it`, element('code', {}, command(['bridges', verb, name]))] as const
  if (isIn(bridge)) return [goOn]
  const seek = command(['bridges', 'seek', name], { to: 'oldest' })
  return [goOn, ['To deliver all that is kept once more', element('code', {}, seek)]]
}

const errorOf = (state: Bridge['state']): BridgeError | undefined =>
  state.kind === 'waiting' || state.kind === 'failed' ? state.error : undefined

const ageText = (age: number): string => (age === 0 ? 'none' : seconds(age))
