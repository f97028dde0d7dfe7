import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { TokenSource } from '../../src/kafka/token-endpoint.js'
import { ManualClock } from '../manual-clock.js'

let server: Server | undefined
afterEach(() => server?.close())

/** @param answer status and body of each request */
async function endpoint(answer: (request: IncomingMessage, body: string) => readonly [number, string]) {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    const [status, text] = answer(request, body)
    response.writeHead(status).end(text)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const clock = new ManualClock()
  const tokens = new TokenSource({ url, clientId: 'me:1', clientSecret: () => 'se cret', scope: 'kafka' }, clock)
  return { tokens, clock, url }
}

test('asks once for a token that lives on, and again when most of its life is over or the broker did not take it', async () => {
  let asked = 0
  const seen: unknown[] = []
  const { tokens, clock } = await endpoint((request, body) => {
    seen.push([request.method, request.headers.authorization, body])
    return [200, JSON.stringify({ access_token: `token-${++asked}`, expires_in: 100 })]
  })
  expect(await Promise.all([tokens.get(), tokens.get()])).toEqual(['token-1', 'token-1'])
  clock.wall += 79_000
  expect(await tokens.get()).toBe('token-1')
  clock.wall += 2_000
  expect(await tokens.get()).toBe('token-2')
  tokens.forget()
  expect(await tokens.get()).toBe('token-3')
  const basic = Buffer.from('me%3A1:se%20cret').toString('base64')
  expect(seen[0]).toEqual(['POST', `Basic ${basic}`, 'grant_type=client_credentials&scope=kafka'])
})

test.each([
  [401, '{"error":"invalid_client"}', 'KAFKA_UNAUTHORIZED', /HTTP 401/],
  [200, 'no JSON', 'KAFKA_UNAUTHORIZED', /holds no access_token/],
  [200, '{"access_token":7}', 'KAFKA_UNAUTHORIZED', /holds no access_token/],
  [503, '', 'KAFKA_UNAVAILABLE', /HTTP 503/],
])('an answer of %i is an error with its code, and no secret in it', async (status, text, code, message) => {
  const { tokens } = await endpoint(() => [status, text])
  const error = await tokens.get().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
  expect(JSON.stringify(error)).not.toMatch(/se cret|se%20cret/)
})

test('no more is read of an answer than a token can have', async () => {
  server = createServer((_request, response) => {
    response.writeHead(200).write(`{"access_token":"${'x'.repeat(4 * 1024 * 1024)}`)
    // It never ends.
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const closed = new Promise<void>((resolve) => server?.on('connection', (socket) => socket.on('close', resolve)))
  const tokens = new TokenSource({ url, clientId: 'me', clientSecret: () => 'x', scope: undefined }, new ManualClock())
  await expect(tokens.get()).rejects.toMatchObject({
    code: 'KAFKA_UNAUTHORIZED',
    message: expect.stringMatching(/holds no access_token/),
  })
  await closed
})

test('an endpoint that is away is tried again', async () => {
  const { tokens } = await endpoint(() => [200, '{"access_token":"late"}'])
  await new Promise((resolve) => server?.close(resolve))
  await expect(tokens.get()).rejects.toMatchObject({
    code: 'KAFKA_UNAVAILABLE',
    message: expect.stringMatching(/ECONNREFUSED/),
  })
})
