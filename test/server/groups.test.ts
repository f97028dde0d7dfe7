import { beforeAll, describe, expect, test } from 'vitest'
import { readFrame } from '../../src/client/poll-frame.js'
import { ChunkCursor, chunkIsWhole } from '../../src/log/index.js'
import { ensureBuilt } from '../built.js'
import { type Serving, serve } from './serving.js'

beforeAll(ensureBuilt)

interface Polled {
  readonly generation: number
  readonly assigned: readonly { readonly shard: number; readonly lease: number; readonly next: number }[]
  readonly revoked: readonly number[]
  readonly pages: readonly { shard: number; next: number; ended: boolean; records: { key: string; value: number }[] }[]
}

const json = { accept: 'application/json' }

async function joined(serving: Serving, group = 'g'): Promise<string> {
  const { json: answer } = await serving.v1('POST', `groups/${group}/members`)
  return `groups/${group}/members/${(answer as unknown as { member: string }).member}`
}

const poll = async (serving: Serving, member: string, body: object) =>
  (await serving.v1('POST', `${member}/poll`, body, json)).json as unknown as Polled

/** A stream with ten records, a group on it and a member that holds its shard. */
async function begin() {
  const serving = await serve()
  await serving.v1('POST', 'streams', { name: 's' })
  await serving.v1('POST', 'streams/s/records', {
    records: Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: i })),
  })
  expect(await serving.v1('POST', 'groups', { name: 'g', stream: 's' })).toMatchObject({
    status: 201,
    json: { name: 'g', stream: 's', kind: 'client', hold: false, members: [] },
  })
  const member = await joined(serving)
  let answer = await poll(serving, member, {})
  while (answer.assigned.length === 0)
    answer = await poll(serving, member, { waitMs: 10_000, generation: answer.generation })
  const [held] = answer.assigned as [Polled['assigned'][number]]
  const cursors = { [held.shard]: held.next }
  return { serving, member, held, generation: answer.generation, cursors }
}

describe('a group over HTTP', () => {
  test('appends through the limiter of a shard as any other, and moves nothing when it is refused', async () => {
    const { serving, member, held, cursors, generation } = await begin()
    await serving.v1('POST', 'streams', { name: 'held' })
    await serving.v1('PATCH', 'streams/held', { policy: { limit: { recordsPerSecond: 1, waitMsMax: 0 } } })
    const { pages } = await poll(serving, member, { cursors, generation })
    const commit = (next: number, count: number) =>
      serving.v1('POST', `${member}/positions`, {
        positions: [{ shard: held.shard, lease: held.lease, next }],
        append: [{ stream: 'held', records: Array.from({ length: count }, (_, n) => ({ key: `${n}`, value: n })) }],
      })
    const half = pages[0]!.next - 5
    expect((await commit(half, 100)).json).toMatchObject({ moved: true })
    expect(await commit(pages[0]!.next, 1)).toMatchObject({ status: 503, code: 'TOO_BUSY' })
    const { json: shown } = await serving.v1('GET', 'groups/g')
    expect(shown).toMatchObject({ positions: [{ shard: held.shard, next: half }] })
    await serving.v1('PATCH', 'streams/held', { policy: { limit: null } })
    expect((await commit(pages[0]!.next, 1)).json).toMatchObject({ moved: true })
  })

  test('is joined, read, moved and left', async () => {
    const { serving, member, held, generation, cursors } = await begin()
    const { pages } = await poll(serving, member, { cursors, generation })
    expect(pages[0]!.records.map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const position = { shard: held.shard, lease: held.lease, next: pages[0]!.next }
    const moved = await serving.v1('POST', `${member}/positions`, {
      positions: [position],
      append: [{ stream: 's', records: [{ key: 'effect', value: 10 }] }],
    })
    expect(moved.json).toMatchObject({ moved: true, placed: [[{ count: 1 }]] })
    const again = await serving.v1('POST', `${member}/positions`, {
      positions: [position],
      append: [{ stream: 's', records: [{ key: 'effect', value: 10 }] }],
    })
    expect(again.json).toMatchObject({ moved: false })
    const rest = await poll(serving, member, { cursors: { [held.shard]: position.next }, generation, waitMs: 10_000 })
    expect(rest.pages[0]!.records).toMatchObject([{ key: 'effect', value: 10 }])
    expect((await serving.v1('GET', 'groups/g')).json).toMatchObject({
      lag: expect.any(Number),
      members: [{ shards: [held.shard] }],
      positions: [{ shard: held.shard, lease: held.lease, next: position.next, ended: false }],
    })
    expect((await serving.v1('POST', `${member}/release`, { shards: [held.shard] })).json).toEqual({
      released: [held.shard],
    })
    expect((await serving.v1('DELETE', member)).status).toBe(200)
    expect((await serving.v1('POST', `${member}/poll`, {})).code).toBe('FENCED')
    expect((await serving.v1('POST', 'groups/g/seek', { to: 'oldest' })).json).toMatchObject({
      positions: [{ shard: held.shard, next: held.next }],
    })
    expect((await serving.v1('DELETE', 'groups/g')).json).toEqual({ deleted: 'g' })
    expect((await serving.v1('POST', 'groups/g/members')).code).toBe('NOT_FOUND')
  })

  test('the binary frame holds the chunks as they lie', async () => {
    const { serving, member, cursors, generation, held } = await begin()
    const response = await fetch(`${serving.url}/v1/${member}/poll`, {
      method: 'POST',
      headers: { 'x-millrace': '1', 'content-type': 'application/json' },
      body: JSON.stringify({ cursors, generation }),
    })
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    const frame = readFrame(Buffer.from(await response.arrayBuffer()))
    expect(frame).toMatchObject({ generation, assigned: [held], revoked: [] })
    const values: number[] = []
    for (const chunk of frame.pages[0]!.chunks) {
      expect(chunkIsWhole(chunk)).toBe(true)
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) values.push(JSON.parse(cursor.body.toString()) as number)
    }
    expect(values).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    // What was sent no longer counts as held.
    while (serving.daemon.rooms.memberships.pollBytes > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  })

  test('a poll of a client that went away ends, and its session with it', async () => {
    const { serving, member, generation } = await begin()
    const over = new AbortController()
    const waiting = fetch(`${serving.url}/v1/${member}/poll`, {
      method: 'POST',
      headers: { 'x-millrace': '1' },
      body: JSON.stringify({ generation, waitMs: 20_000 }),
      signal: over.signal,
    }).catch(() => 'aborted')
    const second = await joined(serving)
    over.abort()
    expect(await waiting).toBe('aborted')
    // The first is still a member: its session has not ended yet.
    expect((await serving.v1('GET', 'groups/g')).json).toMatchObject({ members: [{}, {}] })
    expect((await serving.v1('DELETE', second)).status).toBe(200)
  })

  test('malformed requests change nothing', async () => {
    const { serving, member, held, cursors, generation } = await begin()
    const bad: readonly [string, unknown][] = [
      ['groups', { name: 'a:b', stream: 's' }],
      ['groups', { name: 'x', stream: 's', start: 'now' }],
      ['groups', { name: 'x', stream: 's', start: { sequence: 1, timeMs: 1 } }],
      ['groups', { name: 'x', stream: 's', start: { sequence: 1e12 } }],
      ['groups', { name: 'x', stream: 's', hold: 1 }],
      ['groups/g/seek', {}],
      [`${member}/poll`, { cursors: [] }],
      [`${member}/poll`, { cursors: { x: 1 } }],
      [`${member}/poll`, { cursors: { 1: -1 } }],
      [`${member}/poll`, { bytes: 1 }],
      [`${member}/poll`, { cursors: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i, 1])) }],
      [`${member}/positions`, { positions: 1 }],
      [`${member}/positions`, { positions: [{ shard: 1 }] }],
      [`${member}/positions`, { positions: [{ shard: held.shard, lease: held.lease, next: 1e9 }] }],
      [`${member}/positions`, { positions: [], append: [{ stream: 's', records: [{ key: 1 }] }] }],
      [`${member}/release`, {}],
    ]
    for (const [path, body] of bad)
      expect((await serving.v1('POST', path, body)).code, `${path} ${JSON.stringify(body)}`).toBe('BAD_REQUEST')
    expect((await serving.v1('POST', 'groups', { name: 'g', stream: 's' })).code).toBe('ALREADY_EXISTS')
    expect((await serving.v1('POST', 'groups', { name: 'x', stream: 'none' })).code).toBe('NOT_FOUND')
    expect((await serving.v1('POST', 'groups/none/seek', { to: 'oldest' })).code).toBe('NOT_FOUND')
    const fenced = { positions: [{ shard: held.shard, lease: held.lease + 1, next: held.next + 1 }] }
    expect((await serving.v1('POST', `${member}/positions`, fenced)).code).toBe('FENCED')
    expect((await poll(serving, member, { cursors, generation })).pages[0]!.records).toHaveLength(10)
  })
})

describe('a producer over HTTP', () => {
  test('is opened and opened again; other ways to append have none', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    expect((await serving.v1('POST', 'streams/s/producers')).json).toEqual({ producer: 1, epoch: 1, last: 0 })
    expect((await serving.v1('POST', 'streams/s/producers', { producer: 1 })).json).toMatchObject({ epoch: 2 })
    expect((await serving.v1('POST', 'streams/s/producers', { producer: 2 })).code).toBe('PRODUCER_UNKNOWN')
    for (const producer of [0, -1, 'x', 1.5])
      expect((await serving.v1('POST', 'streams/s/producers', { producer })).code).toBe('BAD_REQUEST')
    expect((await serving.v1('POST', 'streams/none/producers')).code).toBe('NOT_FOUND')
  })
})
