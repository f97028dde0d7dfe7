import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { crc32, gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type ErrorCode, errorKinds, MillraceError, silentLogger } from '../../../src/runtime/index.js'
import { AwsHandler, type ExecuteAws } from '../../../src/server/aws/handler.js'
import { Bodies } from '../../../src/server/body.js'

const target = 'DynamoDB_20120810.PutItem'
const jsonType = 'application/x-amz-json-1.0'

interface Options {
  readonly execute?: ExecuteAws
  readonly origins?: readonly string[]
  readonly bodyBytesMax?: number
  readonly bodiesBytesMax?: number
}

/** The AWS path alone, over an `execute` of the test. */
async function awsPath({
  execute = async (_service, _operation, body) => body,
  origins = ['*'],
  bodyBytesMax = 4096,
  bodiesBytesMax = 1 << 20,
}: Options = {}) {
  const bodies = new Bodies({ bodyBytesMax, bodiesBytesMax })
  const observe = vi.fn<(operation: string, code: string, seconds: number) => void>()
  const handler = new AwsHandler({ execute, bodies, corsOrigins: origins, logger: silentLogger, observe })
  const server = createServer((request, response) => void handler.handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const send = async (body: string | Buffer, headers: Record<string, string> = {}, method = 'POST') => {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method,
      headers: { 'content-type': jsonType, 'x-amz-target': target, ...headers },
      ...(method === 'POST' ? { body: typeof body === 'string' ? body : new Uint8Array(body) } : {}),
    })
    return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
  }
  return { port, send, observe, bodies }
}

describe('an answer', () => {
  test('carries what SDKs look at', async () => {
    const { send, observe } = await awsPath()
    const ids = new Set<string>()
    for (let i = 0; i < 70; i++) {
      const { status, headers, body } = await send('{"a":"ä"}')
      expect(status).toBe(200)
      expect(body.toString()).toBe('{"a":"ä"}')
      expect(headers.get('content-type')).toBe(jsonType)
      expect(headers.get('content-length')).toBe(String(body.length))
      expect(headers.get('x-amz-crc32')).toBe(String(crc32(body)))
      expect(headers.get('x-amzn-requestid')).toMatch(/^[A-Z0-9]{52}$/)
      ids.add(headers.get('x-amzn-requestid')!)
    }
    expect(ids.size).toBe(70)
    expect(observe).toHaveBeenCalledWith('PutItem', 'ok', expect.any(Number))
  })

  test('of an error has its type, its message and whatever else it has', async () => {
    const type = 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException'
    const failure = { type, status: 400, message: 'no', extra: { Item: { id: { S: '1' } } } }
    const { send, observe } = await awsPath({ execute: () => Promise.reject(failure) })
    const { status, headers, body } = await send('{}')
    expect(status).toBe(400)
    expect(JSON.parse(body.toString())).toEqual({ __type: type, message: 'no', Item: { id: { S: '1' } } })
    expect(headers.get('x-amz-crc32')).toBe(String(crc32(body)))
    expect(observe).toHaveBeenCalledWith('PutItem', 'ConditionalCheckFailedException', expect.any(Number))
  })

  test.for(['Kinesis_20131202.PutRecord', 'DynamoDB_20111205.PutItem', 'PutItem', ''])(
    'to the target %j is that there is no such operation, under one name',
    async (other) => {
      const { send, observe } = await awsPath()
      const { status, body } = await send('{}', { 'x-amz-target': other })
      expect(status).toBe(400)
      expect(body.toString()).toContain('#UnknownOperationException')
      expect(observe).toHaveBeenCalledWith('unknown', 'UnknownOperationException', expect.any(Number))
    },
  )

  test('to a request for Kinesis says so, in its own version of the protocol', async () => {
    const { send } = await awsPath()
    for (const type of ['application/x-amz-json-1.1', 'application/x-amz-cbor-1.1']) {
      const { status, headers, body } = await send('{}', {
        'content-type': type,
        'x-amz-target': 'Kinesis_20131202.PutRecord',
      })
      expect(status).toBe(400)
      expect(headers.get('content-type')).toBe('application/x-amz-json-1.1')
      const answer = JSON.parse(body.toString()) as { __type: string; message: string }
      expect(answer.__type).toBe('com.amazon.coral.service#UnknownOperationException')
      expect(answer.message).toContain('Kinesis is not served')
    }
  })

  test('has no message when there is none, and two errors have theirs under another name', async () => {
    const failure = { type: 'com.amazon.coral.service#SerializationException', status: 400, message: 'no' }
    const { send } = await awsPath({ execute: () => Promise.reject(failure) })
    expect((await send('{}')).body.toString()).toBe(
      '{"__type":"com.amazon.coral.service#SerializationException","Message":"no"}',
    )
    const unknown = await send('{}', { 'x-amz-target': 'no.such' })
    expect(unknown.body.toString()).toBe('{"__type":"com.amazon.coral.service#UnknownOperationException"}')
    expect(unknown.headers.get('x-amz-crc32')).toBe('1368724161')
    const noJson = await send('hi', { 'x-amz-target': 'no.such' })
    expect(noJson.body.toString()).toBe('{"__type":"com.amazon.coral.service#SerializationException"}')
  })

  test('is packed for who takes gzip, when it is worth it, and its checksum is that of what is sent', async () => {
    const large = Buffer.from(JSON.stringify({ items: Array.from({ length: 500 }, (_, i) => `item ${i % 7}`) }))
    const { port } = await awsPath({ bodyBytesMax: 1 << 20 })
    const ask = (body: Buffer, encoding: string) =>
      new Promise<{ headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
        const headers = { 'content-type': jsonType, 'x-amz-target': target, 'accept-encoding': encoding }
        const asked = httpRequest({ port, method: 'POST', headers }, (response) => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(parts) }))
        })
        asked.on('error', reject)
        asked.end(body)
      })
    for (const encoding of ['gzip', 'deflate, gzip;q=0.5, br', 'GZIP']) {
      const { headers, body } = await ask(large, encoding)
      expect(headers['content-encoding'], encoding).toBe('gzip')
      expect(body.length).toBeLessThan(large.length / 4)
      expect(headers['content-length']).toBe(String(body.length))
      expect(headers['x-amz-crc32']).toBe(String(crc32(body)))
      expect(gunzipSync(body)).toEqual(large)
    }
    for (const encoding of ['identity', 'gzip;q=0', 'br', 'gzip;q=0.0, br', 'xgzip']) {
      const { headers, body } = await ask(large, encoding)
      expect(headers['content-encoding'], encoding).toBeUndefined()
      expect(body).toEqual(large)
    }
    expect((await ask(Buffer.from('{}'), 'gzip')).headers['content-encoding']).toBeUndefined()
  })

  test('says what is known of the write: nothing applied, or not known', async () => {
    let code: ErrorCode = 'INTERNAL'
    const { send } = await awsPath({
      execute: async () => {
        throw new MillraceError(code, 'It went wrong.')
      },
    })
    const answers: Partial<Record<ErrorCode, string>> = {
      TOO_BUSY: '400 ThrottlingException',
      NOT_READY: '503 ServiceUnavailable',
      STORAGE_FULL: '503 ServiceUnavailable',
      STORE_FAILED: '500 InternalServerError',
      EFFECT_TOO_LARGE: '400 ValidationException',
    }
    for (code of Object.keys(errorKinds) as ErrorCode[]) {
      if (code === 'TOO_LARGE' || code === 'BAD_REQUEST') continue
      const { status, body } = await send('{}')
      const { __type, message } = JSON.parse(body.toString()) as { __type: string; message: string }
      expect(`${status} ${__type.replace(/.*#/, '')}`).toBe(answers[code] ?? '500 InternalServerError')
      expect(message).toContain(code)
    }
  })

  test('to something that is no error of ours tells nothing of it but that it happened', async () => {
    const { send } = await awsPath({
      execute: () => {
        throw new TypeError('undefined is not a function')
      },
    })
    expect((await send('{}')).status).toBe(500)
  })
})

describe('a request', () => {
  test('GET is healthy', async () => {
    const { send, port } = await awsPath()
    const { status, body } = await send('', {}, 'GET')
    expect(status).toBe(200)
    expect(body.toString()).toBe(`healthy: 127.0.0.1:${port} `)
  })

  test.for([
    ['PUT', jsonType],
    ['DELETE', jsonType],
    ['POST', 'text/plain'],
    ['POST', 'application/x-amz-json-1.1'],
    ['POST', 'application/jsonasdf'],
    ['OPTIONS', jsonType],
  ] as const)('%s of %s is not found', async ([method, type]) => {
    const { send } = await awsPath()
    const { status, headers, body } = await send('{}', { 'content-type': type }, method)
    expect(status).toBe(404)
    expect(body.toString()).toBe('<UnknownOperationException/>\n')
    expect(headers.get('x-amz-crc32')).toBe('3552371480')
  })

  test.for([
    ['application/json', 'application/json'],
    ['application/json;charset=x', 'application/json'],
    ['  application/x-amz-json-1.0  ;  x', jsonType],
  ])('of %s is answered as %s', async ([given, answered]) => {
    const { send } = await awsPath()
    const { status, headers } = await send('{}', { 'content-type': given! })
    expect([status, headers.get('content-type')]).toEqual([200, answered])
  })

  test('whose signature is only half there is refused before it runs', async () => {
    const execute = vi.fn<ExecuteAws>()
    const { send, observe } = await awsPath({ execute })
    const { status, body } = await send('{}', { authorization: 'AWS4-HMAC-SHA256 Credential=a' })
    expect([status, body.toString()]).toEqual([400, expect.stringContaining('IncompleteSignatureException')])
    expect(execute).not.toHaveBeenCalled()
    expect(observe).toHaveBeenCalledWith('unknown', 'IncompleteSignatureException', expect.any(Number))
  })

  test('may be packed', async () => {
    const { send } = await awsPath()
    const { status, body } = await send(gzipSync('{"packed":true}'), { 'content-encoding': 'gzip' })
    expect([status, body.toString()]).toEqual([200, '{"packed":true}'])
    expect((await send('no gzip', { 'content-encoding': 'gzip' })).status).toBe(400)
    expect((await send('{}', { 'content-encoding': 'br' })).status).toBe(400)
  })

  test('that is too large, or unpacks to too much, gets 413 without a body, and the connection goes on', async () => {
    const { send, bodies, observe } = await awsPath({ bodyBytesMax: 100_000 })
    for (const [body, headers] of [
      ['x'.repeat(100_001), {}],
      ['x'.repeat(5_000_000), {}],
      ['x'.repeat(100_001), { 'content-type': 'text/plain' }],
      [gzipSync(Buffer.alloc(50_000_000)), { 'content-encoding': 'gzip' }],
    ] as const) {
      const answer = await send(body, headers)
      expect(answer.status).toBe(413)
      expect(answer.headers.get('transfer-encoding')).toBe('chunked')
      expect(answer.body.length).toBe(0)
    }
    expect(observe).toHaveBeenLastCalledWith('unknown', 'TooLarge', expect.any(Number))
    expect((await send('x'.repeat(100_000))).status).toBe(200)
    expect(bodies.heldBytes).toBe(0)
  })

  test('whose client goes away holds nothing', async () => {
    const { port, bodies } = await awsPath()
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: ${jsonType}\r\nx-amz-target: ${target}\r\ncontent-length: 500\r\n\r\nhalf`,
    )
    await expect.poll(() => bodies.heldBytes).toBe(4)
    socket.destroy()
    await expect.poll(() => bodies.heldBytes).toBe(0)
  })

  test('is told to retry while too many bodies are held, and not afterwards', async () => {
    const waiting: (() => void)[] = []
    const { send, port, bodies } = await awsPath({
      bodiesBytesMax: 3000,
      execute: (_service, _operation, body) => new Promise((resolve) => waiting.push(() => resolve(body))),
    })
    const slow = httpRequest({ port, method: 'POST', headers: { 'content-type': jsonType, 'x-amz-target': target } })
    const answered = new Promise<number>((resolve) =>
      slow.on('response', (response) => {
        response.resume()
        resolve(response.statusCode!)
      }),
    )
    slow.end('x'.repeat(2000))
    await expect.poll(() => waiting).toHaveLength(1)
    const refused = await send('x'.repeat(2000))
    expect([refused.status, refused.body.toString()]).toEqual([400, expect.stringContaining('ThrottlingException')])
    waiting.pop()!()
    expect(await answered).toBe(200)
    await expect.poll(() => bodies.heldBytes).toBe(0)
    const accepted = send('x'.repeat(2000))
    await expect.poll(() => waiting).toHaveLength(1)
    waiting.pop()!()
    expect((await accepted).status).toBe(200)
  })
})

describe('a page of another origin', () => {
  const origin = 'http://app.example'

  test('may use the path when any may', async () => {
    const { send } = await awsPath()
    expect((await send('{}', { origin })).headers.get('access-control-allow-origin')).toBe('*')
    expect((await send('{}')).headers.get('access-control-allow-origin')).toBeNull()
  })

  test('is named when only some may, and others are not', async () => {
    const { send } = await awsPath({ origins: [origin] })
    const { headers } = await send('{}', { origin })
    expect(headers.get('access-control-allow-origin')).toBe(origin)
    expect(headers.get('vary')).toBe('origin')
    expect((await send('{}', { origin: 'http://other.example' })).headers.get('access-control-allow-origin')).toBeNull()
  })

  test('asks first, and is told which headers it may send', async () => {
    const { send } = await awsPath()
    const wanted = 'x-amz-target,authorization'
    const { status, headers } = await send('', { origin, 'access-control-request-headers': wanted }, 'OPTIONS')
    expect(status).toBe(200)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('access-control-allow-headers')).toBe(wanted)
    expect(headers.get('access-control-allow-methods')).toContain('POST')
    expect(headers.get('access-control-max-age')).toBe('172800')
    const asked = await send('', { origin, 'access-control-request-method': 'POST' }, 'OPTIONS')
    expect(asked.headers.get('access-control-allow-methods')).toBe('POST')
  })
})
