import type { Rooms } from '../../daemon/index.js'
import { MillraceError } from '../../runtime/index.js'
import { startOf, startShape } from './groups.js'
import { created, ok, only, type Route } from './route.js'

const shape =
  '{name, direction: "in" or "out", source, topic, into?, group, options, createdAt, converter?: {hash}, partitions?, state: {kind: "starting", "running", "waiting", "paused", "failed" or "stopped", since, ...}, snapshot?: "running" or "done", statistics: {records, bytes, lagRecords, lagSeconds, errors, lastError?, deadLetters}}'

export const bridgeRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'bridges',
    summary: 'All bridges.',
    answer: '{bridges: [bridge]}',
    run: async ({ daemon }) => ok({ bridges: (await daemon.rooms.bridges.measured()).map(shownBridge) }),
  },
  {
    method: 'POST',
    path: 'bridges',
    summary:
      'Mirrors a stream to a Kafka topic, or (with `into`) stores what a topic has in a stream or table. A broker that is away is no error: the bridge waits for it.',
    body: '{name, source: a plain stream or `table:NAME`, brokers?: [HOST:PORT] or one string with commas, or cluster?: a name under kafka.clusters of the configuration, driver?, topic?, prefix?, partitions?, replicationFactor?, topicConfig?, createTopic?, format?: "envelope", "image", "dynamodb-streams", "cloudevents" or "cloudevents-binary", images?: "dynamodb" or "plain", tombstones?, compression?: "none" or "gzip", refused?: "stop" or "dead-letter", deadLetters?: a stream, clientId?, start?: "oldest" or "newest", snapshot?: true delivers the items of a table first, headers?: {name: text}, schema?: JSON Schema of the values, converter?: text of a bundled module}; in: {name, topic, into: "stream:NAME" or "table:NAME", brokers? or cluster?, driver?, format?: "envelope", "image" or "dynamodb-streams", images?, start?, unreadable?: "dead-letter" or "stop", deadLetters?: a stream, group?, clientId?}',
    answer: '201 bridge',
    errors: ['ALREADY_EXISTS', 'CONFLICT', 'NOT_FOUND', 'IMAGES_NOT_KEPT', 'TOO_BUSY', 'TOO_LARGE', 'MODULE_INVALID'],
    run: async (call) => {
      // The room checks every member of it and names each fault.
      const request = (await call.json()) as unknown as Parameters<Rooms['bridges']['create']>[0]
      return created(shownBridge(await call.daemon.rooms.bridges.create(request)))
    },
  },
  {
    method: 'GET',
    path: 'bridges/{name}',
    summary: 'One bridge.',
    answer: `bridge: ${shape}`,
    errors: ['NOT_FOUND'],
    run: async ({ daemon, names }) => ok(shownBridge(await daemon.rooms.bridges.show(names[0] as string))),
  },
  {
    method: 'POST',
    path: 'bridges/{name}/pause',
    summary: 'Stops a bridge until it is resumed, also over a restart of the daemon; its position stays.',
    answer: 'bridge',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => ok(shownBridge(await daemon.rooms.bridges.pause(names[0] as string))),
  },
  {
    method: 'POST',
    path: 'bridges/{name}/resume',
    summary: 'Goes on at its position after a pause, or after a failure whose cause was removed.',
    query: {
      skipLost: '`true`: a bridge in goes on behind records that its topic has lost',
      refused:
        '`dead-letter`: from now on a bridge out puts records aside that cannot be sent, also the one that it has stopped at; `stop`: it stops at the next',
    },
    answer: 'bridge',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names, query }) => {
      const how = { skipLost: query.get('skipLost') === 'true', refused: refusedOf(query.get('refused')) }
      return ok(shownBridge(await daemon.rooms.bridges.resume(names[0] as string, how)))
    },
  },
  {
    method: 'POST',
    path: 'bridges/{name}/seek',
    summary:
      'Goes on from somewhere else: what lies between is passed over, or delivered once more. A bridge that has failed is started again; one that is paused stays so.',
    body: `{to: ${startShape}; of a bridge in: "oldest", "newest", {timeMs} or {offsets: {PARTITION: OFFSET}}, partitions that are not named stay}`,
    answer: 'bridge',
    errors: ['NOT_FOUND', 'CONFLICT', 'KAFKA_UNAVAILABLE', 'KAFKA_REFUSED'],
    run: async ({ daemon, names, json }) => {
      const body = await json()
      only(body, ['to'])
      return ok(shownBridge(await daemon.rooms.bridges.seek(names[0] as string, placeOf(body.to))))
    },
  },
  {
    method: 'POST',
    path: 'bridges/{name}/converter',
    summary:
      'Gives a bridge another converter or schema for what is sent from now on; null takes it away, and what is not named stays. A bridge that has failed is started again.',
    body: '{converter?: text of a bundled module, or null; schema?: JSON Schema of the values, or null}',
    answer: 'bridge',
    errors: ['NOT_FOUND', 'CONFLICT', 'TOO_LARGE', 'MODULE_INVALID'],
    run: async ({ daemon, names, json }) => {
      const body = await json()
      only(body, ['converter', 'schema'])
      return ok(shownBridge(await daemon.rooms.bridges.convert(names[0] as string, body)))
    },
  },
  {
    method: 'DELETE',
    path: 'bridges/{name}',
    summary: 'Stops a bridge and forgets its position; the topic stays.',
    answer: '{deleted: name}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => {
      await daemon.rooms.bridges.delete(names[0] as string)
      return ok({ deleted: names[0] })
    },
  },
]

function refusedOf(given: string | null): 'stop' | 'dead-letter' | undefined {
  if (given === null) return undefined
  if (given === 'stop' || given === 'dead-letter') return given
  throw new MillraceError('BAD_REQUEST', 'refused is stop or dead-letter.')
}

function placeOf(to: unknown): Parameters<Rooms['bridges']['seek']>[1] {
  const offsets = (to as { readonly offsets?: unknown } | null | undefined)?.offsets
  if (offsets === undefined) return startOf(to, 'to')
  only(to as Record<string, unknown>, ['offsets'])
  const isMap = typeof offsets === 'object' && offsets !== null
  const isNumbers = isMap && Object.values(offsets).every((offset) => Number.isSafeInteger(offset) && offset >= 0)
  if (!isNumbers) throw new MillraceError('BAD_REQUEST', 'to.offsets is {PARTITION: OFFSET}.')
  return { offsets: offsets as Readonly<Record<string, number>> }
}

type BridgeView = Awaited<ReturnType<Rooms['bridges']['show']>>

/** A bridge as clients read it: its errors without their stacks. */
function shownBridge(bridge: BridgeView): object {
  const { state, statistics } = bridge
  const { lastError } = statistics
  return {
    ...bridge,
    state: 'error' in state ? { ...state, error: shownError(state.error) } : state,
    statistics: {
      ...statistics,
      lastError: lastError && { ...lastError, error: shownError(lastError.error) },
    },
  }
}

const shownError = ({ code, message, remedy }: MillraceError): object => ({ code, message, remedy })
