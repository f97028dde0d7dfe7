/** Where documents of what was given up go: what is brought, what is too large, and what is told of a failure. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { FailureDocument } from '../../../src/functions/mappings/destinations/destination.js'
import { documentOf } from '../../../src/functions/mappings/destinations/document.js'
import { HttpDestination } from '../../../src/functions/mappings/destinations/http-destination.js'
import { KafkaDestination } from '../../../src/functions/mappings/destinations/kafka-destination.js'
import {
  checkPlace,
  type DestinationRooms,
  openDestination,
} from '../../../src/functions/mappings/destinations/open-destination.js'
import { type DestinationPlace, placeOf } from '../../../src/functions/mappings/destinations/place.js'
import { EventPage, EventRecord } from '../../../src/functions/mappings/event-records.js'
import { MillraceError, systemClock } from '../../../src/runtime/index.js'

const document: FailureDocument = {
  id: 'mapping:shard:1',
  at: 0,
  functionArn: 'arn',
  condition: 'RetryAttemptsExhausted',
  shardId: 'shard',
  startSequenceNumber: '1',
  withPayload: Buffer.from('{"a":1,"payload":{"Records":[]}}'),
  withoutPayload: Buffer.from('{"a":1}'),
}
const stop = new AbortController().signal

it('are named by their kind', () => {
  expect(placeOf('stream:failed')).toEqual({ kind: 'stream', name: 'failed' })
  expect(placeOf('table:failed')).toEqual({ kind: 'table', name: 'failed' })
  expect(placeOf('kafka:main/failed.items')).toEqual({ kind: 'kafka', cluster: 'main', topic: 'failed.items' })
  expect(placeOf('kafka:failed')).toEqual({ kind: 'kafka', cluster: undefined, topic: 'failed' })
  expect(placeOf('kafka://failed')).toEqual({ kind: 'kafka', cluster: undefined, topic: 'failed' })
  expect(placeOf('file:a/b.ndjson')).toEqual({ kind: 'file', path: 'a/b.ndjson' })
  expect(placeOf('https://host/path')).toEqual({ kind: 'http', url: 'https://host/path' })
  for (const text of ['failed', 'stream:', 'kafka:a/b/c', 'http://', 'arn:aws:sqs:x:1:queue'])
    expect(placeOf(text)).toBeUndefined()
})

it('have an id that other records do not have', () => {
  const page = new EventPage(() => {})
  page.wrote(Buffer.alloc(10))
  const record = (sequence: number) => new EventRecord(sequence, 0, 0, page, 0, 1)
  const frame = { mapping: 'm', functionArn: 'f', shardId: 's', streamArn: 't', tumblingMs: 1000, next: 5 }
  const about = { lane: 0, attempts: 1, throttles: 0, notBefore: 0, givenUp: undefined, last: undefined }
  const window = { start: 3000, state: '{}', isEarly: false }
  const id = (sequences: number[], isFinal: boolean) =>
    documentOf({ ...about, records: sequences.map(record), isFinal }, window, frame, 0).id
  const ids = [id([5, 6], false), id([5, 6, 20], false), id([5], false), id([], true)]
  expect(new Set(ids).size).toBe(4)
  expect(ids).toEqual([id([5, 6], false), id([5, 6, 20], false), id([5], false), id([], true)])
})

describe('a server', () => {
  it('that fails or refuses is told as a failure, and gets no event that is too large for it', async () => {
    const seen: { key: unknown; body: string }[] = []
    const answers = [500, 400, 413, 200]
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      seen.push({ key: request.headers['idempotency-key'], body: Buffer.concat(parts).toString() })
      response.writeHead(answers.shift() as number).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const destination = new HttpDestination(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, systemClock)
    await expect(destination.deliver(document, stop)).rejects.toThrow('500')
    await expect(destination.deliver(document, stop)).rejects.toThrow('400')
    await destination.deliver(document, stop)
    const [whole, less] = [document.withPayload.toString(), document.withoutPayload.toString()]
    expect(seen).toEqual([whole, whole, whole, less].map((body) => ({ key: document.id, body })))
  })
})

it('a URL with a user or a password is refused, and no secret of a URL is in what is told', async () => {
  const rooms = {} as DestinationRooms
  for (const user of ['secret@', 'user:secret@', ':secret@']) {
    const place = placeOf(`http://${user}host/path?token=secret`) as DestinationPlace
    for (const act of [() => checkPlace(place, rooms), () => openDestination(place, rooms, 'id')]) {
      expect(act).toThrow('The destination http://host/path has a user or a password')
    }
  }
  checkPlace({ kind: 'http', url: 'http://host/path?token=secret' }, rooms)
  // Nothing listens at port 1.
  const destination = new HttpDestination('http://127.0.0.1:1/path?token=secret', systemClock)
  const failure = await destination.deliver(document, stop).catch((error: Error) => error.message)
  expect(failure).toMatch(/^http:\/\/127\.0\.0\.1:1\/path: /)
  expect(failure).not.toContain('secret')
})

describe('a topic', () => {
  const tooLarge = new MillraceError('KAFKA_REFUSED', 'too large')

  it('gets one document at a time, and no event that it does not take', async () => {
    const sent: string[] = []
    let under = 0
    const topic = {
      send: async ([message]: readonly { readonly value: Buffer | null }[]) => {
        expect(++under).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        under--
        const text = String(message?.value)
        if (text.includes('payload')) throw tooLarge
        sent.push(text)
      },
      discard: () => {},
      close: async () => {},
    }
    const destination = new KafkaDestination(topic, { isOfContent: (error) => error === tooLarge })
    await Promise.all([destination.deliver(document, stop), destination.deliver(document, stop)])
    expect(sent).toEqual(['{"a":1}', '{"a":1}'])
    const picky = new KafkaDestination(topic, { isOfContent: () => false })
    await expect(picky.deliver(document, stop)).rejects.toBe(tooLarge)
  })
})
