import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { describe, expect, test } from 'vitest'
import { type CallerRules, checkCaller } from '../../src/server/safety.js'
import { serve } from './serving.js'

const loopback: CallerRules = { host: '127.0.0.1', hosts: [], insecure: false }
const outside: CallerRules = { host: '0.0.0.0', hosts: ['Millrace.internal'], insecure: true }

const isAllowed = (method: string, headers: Record<string, string>, rules: CallerRules): boolean => {
  try {
    checkCaller({ method, headers } as unknown as IncomingMessage, rules)
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'FORBIDDEN', status: 403 })
    return false
  }
}

describe('the host that a request is for', () => {
  test.for(['127.0.0.1:8000', 'localhost', 'localhost:1', '[::1]:8000', 'LOCALHOST:8000', '127.8.8.8'])(
    '%s is ours everywhere',
    (host) => {
      expect(isAllowed('GET', { host }, loopback)).toBe(true)
      expect(isAllowed('GET', { host }, outside)).toBe(true)
    },
  )

  test.for(['192.168.1.7:8000', '[fe80::1]:8000', 'millrace.internal:8000', 'MILLRACE.internal'])(
    '%s is ours only when the daemon may be reached from outside',
    (host) => {
      expect(isAllowed('GET', { host }, loopback)).toBe(false)
      expect(isAllowed('GET', { host }, outside)).toBe(true)
    },
  )

  // A page at such a name, made to resolve to this machine, would otherwise speak to us as its own server.
  test.for(['evil.example', 'localhost.evil.example:8000', '127.0.0.1.evil.example', '', 'x@127.0.0.1'])(
    '%j is never ours',
    (host) => {
      expect(isAllowed('GET', { host }, loopback)).toBe(false)
      expect(isAllowed('GET', { host }, outside)).toBe(false)
    },
  )

  test('none is none', () => {
    expect(isAllowed('GET', {}, loopback)).toBe(false)
  })
})

test('an origin must be the host itself', () => {
  const host = '127.0.0.1:8000'
  const withOrigin = (origin: string) => isAllowed('GET', { host, origin }, loopback)
  expect(withOrigin('http://127.0.0.1:8000')).toBe(true)
  for (const origin of ['http://127.0.0.1:3000', 'http://evil.example', 'null', 'file://', ''])
    expect(withOrigin(origin), origin).toBe(false)
})

test('what changes something needs the header that a form cannot send', () => {
  const host = 'localhost:8000'
  for (const method of ['POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS']) {
    expect(isAllowed(method, { host }, loopback)).toBe(false)
    expect(isAllowed(method, { host, 'x-millrace': '1' }, loopback)).toBe(true)
  }
  for (const method of ['GET', 'HEAD']) expect(isAllowed(method, { host }, loopback)).toBe(true)
})

/** A request with headers that fetch would not let anybody set. */
function send(port: number, method: string, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', method, path, headers }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
    asked.on('error', reject)
    asked.end()
  })
}

test('no web page gets through to the metrics or the console', async () => {
  const { port } = await serve()
  for (const path of ['/metrics', '/console', '/none']) {
    expect(await send(port, 'GET', path, { host: `evil.example:${port}` }), path).toBe(403)
    expect(await send(port, 'GET', path, { origin: 'http://evil.example' }), path).toBe(403)
  }
  expect(await send(port, 'GET', '/metrics', {})).toBe(200)
  expect(await send(port, 'GET', '/readyz', { host: 'balancer.example' })).toBe(200)
})

test('no web page gets through to /v1, also not by a form', async () => {
  const { port } = await serve()
  const form = { 'content-type': 'text/plain', origin: 'http://evil.example' }
  expect(await send(port, 'POST', '/v1/pipelines', form)).toBe(403)
  expect(await send(port, 'POST', '/v1/pipelines', { 'content-type': 'text/plain' })).toBe(403)
  expect(await send(port, 'GET', '/v1/streams', { host: `evil.example:${port}` })).toBe(403)
  expect(await send(port, 'OPTIONS', '/v1/pipelines', { origin: 'http://evil.example' })).toBe(403)
  expect(await send(port, 'GET', '//v1/streams', {})).toBe(404)
  expect(await send(port, 'GET', '/v1/streams', {})).toBe(200)
})
