import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Daemon } from '../daemon/index.js'
import type { Group } from '../groups/index.js'
import { forEachRecord, type Sequence, type Shard, type ShardId, type Stream } from '../log/index.js'
import { type Hash64, MillraceError, version } from '../runtime/index.js'
import type { PlacedEffect } from './append.js'
import { append } from './append.js'
import { parse, shownPlacements, shownRecord } from './records.js'
import { readBody, sendBytes, sendJson } from './respond.js'

/** What a route is given. */
export interface Call {
  readonly daemon: Daemon
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  /** The parts of the path that the pattern left open, decoded. */
  readonly names: readonly string[]
  body(): Promise<Buffer>
  json(): Promise<Record<string, unknown>>
}

type Route = {
  readonly method: string
  readonly pattern: readonly string[]
  readonly run: (call: Call) => Promise<void> | void
}

const routes: readonly Route[] = [
  on('GET', 'status', ({ daemon, response }) => sendJson(response, 200, statusOf(daemon))),
  on('POST', 'clock/confirm', ({ daemon, response }) => {
    daemon.rooms.store.commit.time.confirm()
    sendJson(response, 200, { confirmed: true })
  }),
  on('GET', 'tables', ({ daemon, response }) => sendJson(response, 200, { tables: daemon.rooms.tables.list() })),
  on('GET', 'tables/*', ({ daemon, response, names }) => {
    const table = daemon.rooms.tables.list().find((each) => each.name === names[0])
    if (!table) throw new MillraceError('NOT_FOUND', `There is no table named ${names[0]}.`)
    sendJson(response, 200, table)
  }),

  on('GET', 'streams', ({ daemon, response }) => {
    sendJson(response, 200, { streams: daemon.rooms.log.streams().map((stream) => shownStream(daemon, stream)) })
  }),
  on('POST', 'streams', createStream),
  on('GET', 'streams/*', ({ daemon, response, names }) =>
    sendJson(response, 200, shownStream(daemon, streamNamed(daemon, names[0]))),
  ),
  on('DELETE', 'streams/*', async ({ daemon, response, names }) => {
    const stream = streamNamed(daemon, names[0])
    if (stream.kind === 'table')
      throw new MillraceError('CONFLICT', `${stream.name} is the change log of a table; it goes with what needs it.`)
    const user = daemon.rooms.groups.list().find((group) => group.stream === stream.id)
    if (user)
      throw new MillraceError('CONFLICT', `The group ${user.name} reads the stream ${stream.name}.`, {
        remedy: 'Delete the pipeline or bridge first.',
      })
    await daemon.rooms.log.closeStream(stream.id)
    sendJson(response, 200, { deleted: stream.name })
  }),
  on('POST', 'streams/*/records', appendRecords),
  on('GET', 'streams/*/records', readRecords),
  on('GET', 'streams/*/shards', ({ daemon, response, names }) => {
    const stream = streamNamed(daemon, names[0])
    sendJson(response, 200, { shards: daemon.rooms.log.shards(stream.id).map((shard) => shownShard(daemon, shard)) })
  }),
  on('POST', 'streams/*/shards/*/split', splitShard),

  on('GET', 'groups', ({ daemon, response }) =>
    sendJson(response, 200, { groups: daemon.rooms.groups.list().map((group) => shownGroup(daemon, group)) }),
  ),
  on('GET', 'groups/*', ({ daemon, response, names }) => {
    const group = daemon.rooms.groups.group(names[0] as string)
    if (!group) throw new MillraceError('NOT_FOUND', `There is no group named ${names[0]}.`)
    sendJson(response, 200, shownGroup(daemon, group))
  }),

  on('GET', 'pipelines', ({ daemon, response }) =>
    sendJson(response, 200, { pipelines: daemon.rooms.pipelines.list() }),
  ),
  on('POST', 'pipelines', async (call) => {
    const body = await call.json()
    only(body, ['bundle', 'start'])
    if (typeof body.bundle !== 'string')
      throw new MillraceError('BAD_REQUEST', 'bundle is the text of the bundled module.')
    const start = startOf(body.start)
    sendJson(
      call.response,
      201,
      await call.daemon.rooms.pipelines.deploy({ bundle: body.bundle, ...(start ? { start } : {}) }),
    )
  }),
  on('GET', 'pipelines/*', ({ daemon, response, names }) =>
    sendJson(response, 200, daemon.rooms.pipelines.show(names[0] as string)),
  ),
  on('DELETE', 'pipelines/*', async ({ daemon, response, names }) => {
    await daemon.rooms.pipelines.delete(names[0] as string)
    sendJson(response, 200, { deleted: names[0] })
  }),

  on('GET', 'bridges', ({ daemon, response }) => sendJson(response, 200, { bridges: daemon.rooms.bridges.list() })),
  on('POST', 'bridges', async (call) =>
    sendJson(call.response, 201, await call.daemon.rooms.bridges.create((await call.json()) as never)),
  ),
  on('GET', 'bridges/*', ({ daemon, response, names }) =>
    sendJson(response, 200, daemon.rooms.bridges.show(names[0] as string)),
  ),
  on('DELETE', 'bridges/*', async ({ daemon, response, names }) => {
    await daemon.rooms.bridges.delete(names[0] as string)
    sendJson(response, 200, { deleted: names[0] })
  }),
]

function on(method: string, path: string, run: Route['run']): Route {
  return { method, pattern: path.split('/'), run }
}

/** Runs the route of a path below /v1. Throws NOT_FOUND, or BAD_REQUEST for a method that the path does not have. */
export async function runRoute(
  daemon: Daemon,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  bodyBytesMax: number,
): Promise<void> {
  const parts = url.pathname.slice('/v1/'.length).split('/').map(decode)
  const matching = routes.filter(
    (route) =>
      route.pattern.length === parts.length && route.pattern.every((part, i) => part === '*' || part === parts[i]),
  )
  const route = matching.find((each) => each.method === request.method)
  if (!route) {
    if (matching.length === 0)
      throw new MillraceError('NOT_FOUND', `There is nothing at ${url.pathname}.`, {
        remedy: 'docs/reference/http.md lists the paths.',
      })
    throw new MillraceError(
      'BAD_REQUEST',
      `${url.pathname} takes ${matching.map((each) => each.method).join(' and ')}, not ${request.method}.`,
    )
  }
  const body = () => readBody(request, bodyBytesMax)
  await route.run({
    daemon,
    request,
    response,
    query: url.searchParams,
    names: parts.filter((_, i) => route.pattern[i] === '*'),
    body,
    async json() {
      const value = parse((await body()).toString() || '{}', 'The body')
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new MillraceError('BAD_REQUEST', 'The body is not a JSON object.')
      return value as Record<string, unknown>
    },
  })
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new MillraceError('BAD_REQUEST', `The path has a badly encoded part: ${part}.`)
  }
}

function only(body: Record<string, unknown>, known: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new MillraceError('BAD_REQUEST', `The member ${unknown} is not known; there are ${known.join(', ')}.`)
}

function streamNamed(daemon: Daemon, name: string | undefined): Stream {
  const stream = daemon.rooms.log.streamNamed(name as string)
  if (!stream) throw new MillraceError('NOT_FOUND', `There is no stream named ${name}.`)
  return stream
}

export const streamNamePattern = /^[A-Za-z0-9_.-]{1,255}$/

async function createStream(call: Call): Promise<void> {
  const body = await call.json()
  only(body, ['name', 'shards'])
  const { name, shards = 1 } = body
  if (typeof name !== 'string' || !streamNamePattern.test(name)) {
    throw new MillraceError('BAD_REQUEST', 'name has letters, digits, dot, underscore and dash, 1 to 255 of them.')
  }
  if (typeof shards !== 'number') throw new MillraceError('BAD_REQUEST', 'shards is a number.')
  const stream = await call.daemon.rooms.log.createStream({
    name,
    kind: 'plain',
    shards,
    images: { old: false, new: false },
  })
  sendJson(call.response, 201, shownStream(call.daemon, stream))
}

async function appendRecords(call: Call): Promise<void> {
  const stream = streamNamed(call.daemon, call.names[0])
  if (stream.kind === 'table')
    throw new MillraceError('CONFLICT', `${stream.name} is the change log of a table; write to the table.`)
  const type = (call.request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim() as string
  const result: PlacedEffect = await append(call.daemon, stream, type, await call.body())
  sendJson(call.response, 200, { count: result.count, commit: result.commit, placed: shownPlacements(result.placed) })
}

const readBytesMax = 1 << 20

/** One page of a shard; waits up to `wait` ms for the first record. */
async function readRecords(call: Call): Promise<void> {
  const { daemon, query, request, response } = call
  const { log } = daemon.rooms
  const stream = streamNamed(daemon, call.names[0])
  const shardId = numberOf(query, 'shard') as ShardId
  if (!log.shards(stream.id).some((shard) => shard.id === shardId)) {
    throw new MillraceError('NOT_FOUND', `${stream.name} has no shard ${query.get('shard') ?? ''}.`, {
      remedy: `GET /v1/streams/${stream.name}/shards lists them.`,
    })
  }
  const from = (query.has('from') ? numberOf(query, 'from') : log.shard(shardId)?.lowWatermark) as Sequence
  const limit = query.has('limit') ? Math.min(numberOf(query, 'limit'), 10_000) : 1000
  const wait = query.has('wait') ? Math.min(numberOf(query, 'wait'), daemon.config.http.pollMsMax) : 0
  let page = await log.read(shardId, from, { bytesMax: readBytesMax })
  if (page.chunks.length === 0 && !page.ended && wait > 0) {
    await changeWithin(daemon, stream, wait, request)
    page = await log.read(shardId, from, { bytesMax: readBytesMax })
  }
  const records: object[] = []
  let next = page.next
  let ended = page.ended
  for (const chunk of page.chunks) {
    forEachRecord(chunk, from, (record) => {
      if (records.length >= limit) {
        next = Math.min(next, record.sequence) as Sequence
        ended = false
        return false
      }
      records.push(shownRecord(record, shardId))
      return true
    })
  }
  if (request.headers.accept === 'application/x-ndjson') {
    response.setHeader('x-millrace-next', String(next))
    response.setHeader('x-millrace-ended', String(ended))
    sendBytes(
      response,
      200,
      'application/x-ndjson',
      Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')),
    )
  } else sendJson(response, 200, { records, next, ended })
}

/** Resolves at the next change of the stream, after `ms`, or when the client goes. */
function changeWithin(daemon: Daemon, stream: Stream, ms: number, request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      stop()
      request.off('close', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    const stop = daemon.rooms.log.onChange(stream.id, end)
    request.socket.once('close', end)
  })
}

function numberOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? ''
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new MillraceError('BAD_REQUEST', `${name} is a whole number, not ${JSON.stringify(text)}.`)
  return value
}

async function splitShard(call: Call): Promise<void> {
  const stream = streamNamed(call.daemon, call.names[0])
  const id = Number(call.names[1]) as ShardId
  const { log } = call.daemon.rooms
  if (!log.shards(stream.id).some((shard) => shard.id === id))
    throw new MillraceError('NOT_FOUND', `${stream.name} has no shard ${call.names[1]}.`)
  const body = await call.json()
  only(body, ['at'])
  const children = await log.split(id, body.at === undefined ? undefined : hashOf(body.at))
  sendJson(call.response, 200, {
    parent: shownShard(call.daemon, log.shard(id) as Shard),
    children: children.map((shard) => shownShard(call.daemon, shard)),
  })
}

/** A key hash on the wire: 16 hex digits. */
function hashOf(value: unknown): Hash64 {
  if (typeof value !== 'string' || !/^[0-9a-f]{16}$/i.test(value))
    throw new MillraceError('BAD_REQUEST', 'at is a key hash of 16 hex digits.')
  return { hi: Number.parseInt(value.slice(0, 8), 16), lo: Number.parseInt(value.slice(8), 16) }
}

const shownHash = ({ hi, lo }: Hash64): string => hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')

type Start = 'oldest' | 'newest'

function startOf(value: unknown): Start | undefined {
  if (value === undefined || value === 'oldest' || value === 'newest') return value
  throw new MillraceError('BAD_REQUEST', 'start is oldest or newest.')
}

function shownStream(daemon: Daemon, stream: Stream): object {
  const shards = daemon.rooms.log.shards(stream.id)
  return {
    name: stream.name,
    id: stream.id,
    kind: stream.kind,
    createdAt: stream.createdAt,
    closedAt: stream.closedAt,
    shards: shards.length,
    open: shards.filter((shard) => shard.state === 'open').length,
  }
}

function shownShard(daemon: Daemon, shard: Shard): object {
  return {
    ...shard,
    low: shownHash(shard.low),
    high: shownHash(shard.high),
    newestSequence: daemon.rooms.log.lastSequence(shard.id),
  }
}

function shownGroup(daemon: Daemon, group: Group): object {
  const { log } = daemon.rooms
  const positions = group.positions()
  const place = new Map(positions.map((position) => [position.shard, position]))
  // How many sequence numbers of its shards are not behind the group yet: an upper bound of its records.
  let lag = 0
  for (const shard of log.shards(group.stream)) {
    const position = place.get(shard.id)
    if (!position?.ended)
      lag += Math.max(0, log.lastSequence(shard.id) - Math.max((position?.next ?? 0) - 1, shard.firstSequence))
  }
  return { name: group.name, stream: log.stream(group.stream)?.name, lag, positions }
}

function statusOf(daemon: Daemon): object {
  const base = {
    version,
    ...daemon.state,
    dataDirectory: daemon.dataDirectory,
    durability: daemon.config.durability,
    storageFull: daemon.storageFull,
  }
  if (daemon.state.state !== 'ready') return base
  const { store, log, groups, tables, pipelines, bridges } = daemon.rooms
  return {
    ...base,
    storeId: store.commit.storeId,
    epoch: store.commit.epoch,
    nextSequence: log.nextSequence(),
    clockAlarm: store.commit.time.alarm,
    tables: tables.list().length,
    streams: log.streams().length,
    groups: groups.list().length,
    pipelines: pipelines.list().length,
    bridges: bridges.list().length,
  }
}
