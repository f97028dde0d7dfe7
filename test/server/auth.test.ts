import { createHash, createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import { DynamoDBStreamsClient, ListStreamsCommand } from '@aws-sdk/client-dynamodb-streams'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../src/client/index.js'
import { type Serving, serve } from './serving.js'

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1'

const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const token = 'a-token-of-enough-characters'
const keys = [`LASTING1:${secret}`, 'TEMPORARY1:other+/=:session/token+=']

function listTables({ url }: Serving, accessKeyId: string, secretAccessKey: string, sessionToken?: string) {
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }
  const client = new DynamoDBClient({ endpoint: url, region: 'eu-west-1', credentials, maxAttempts: 1 })
  onTestFinished(() => client.destroy())
  return client.send(new ListTablesCommand({}))
}

describe('the AWS path', () => {
  test('takes what the SDKs sign with a key that is configured, and nothing else', async () => {
    const serving = await serve({ auth: { keys } })
    expect((await listTables(serving, 'LASTING1', secret)).TableNames).toEqual([])
    expect((await listTables(serving, 'TEMPORARY1', 'other+/=', 'session/token+=')).TableNames).toEqual([])
    const refused = async (...credentials: [string, string, string?]) =>
      listTables(serving, ...credentials).then(
        () => 'taken',
        (error: Error) => error.name,
      )
    expect(await refused('LASTING1', 'wrong')).toBe('InvalidSignatureException')
    expect(await refused('NOBODY', secret)).toBe('UnrecognizedClientException')
    expect(await refused('LASTING1', secret, 'a token')).toBe('UnrecognizedClientException')
    expect(await refused('TEMPORARY1', 'other+/=')).toBe('UnrecognizedClientException')

    const { default: AWS } = await import('aws-sdk')
    const options = { endpoint: serving.url, region: 'us-east-1', accessKeyId: 'LASTING1', secretAccessKey: secret }
    expect((await new AWS.DynamoDB(options).listTables().promise()).TableNames).toEqual([])
    const streams = new DynamoDBStreamsClient({
      endpoint: serving.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'LASTING1', secretAccessKey: secret },
    })
    onTestFinished(() => streams.destroy())
    expect((await streams.send(new ListStreamsCommand({}))).Streams).toEqual([])
  })

  test('wants a signature, and its health needs none', async () => {
    const { url } = await serve({ auth: { keys } })
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.ListTables' }
    const unsigned = await fetch(url, { method: 'POST', headers, body: '{}' })
    expect([unsigned.status, await unsigned.text()]).toEqual([
      400,
      expect.stringContaining('MissingAuthenticationTokenException'),
    ])
    expect((await fetch(url)).status).toBe(200)
  })

  test('verifies a packed body as it was sent', async () => {
    const { url } = await serve({ auth: { keys } })
    const send = (body: Buffer, signedBody: Buffer) => {
      const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
      const scope = `${date.slice(0, 8)}/us-east-1/dynamodb/aws4_request`
      const hash = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
      const host = new URL(url).host
      const canonical = `POST\n/\n\nhost:${host}\nx-amz-date:${date}\n\nhost;x-amz-date\n${hash(signedBody)}`
      const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash(canonical)}`
      const key = scope.split('/').reduce<Buffer | string>((k, part) => hmac(k, part), `AWS4${secret}`)
      return fetch(url, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: {
          'content-type': 'application/x-amz-json-1.0',
          'content-encoding': 'gzip',
          'x-amz-target': 'DynamoDB_20120810.ListTables',
          'x-amz-date': date,
          authorization: `AWS4-HMAC-SHA256 Credential=LASTING1/${scope}, SignedHeaders=host;x-amz-date, Signature=${hmac(key, text).toString('hex')}`,
        },
      })
    }
    const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest()
    const body = gzipSync('{}')
    expect((await send(body, body)).status).toBe(200)
    expect((await send(body, Buffer.from('{}'))).status).toBe(400)
  })

  test('is closed when only a token is configured', async () => {
    const serving = await serve({ auth: { token } })
    await expect(listTables(serving, 'LASTING1', secret)).rejects.toMatchObject({ name: 'UnrecognizedClientException' })
  })
})

describe('the native API, the metrics and the console', () => {
  const paths = ['/v1/streams', '/metrics', '/console']
  const status = async (url: string, authorization?: string) =>
    (await fetch(url, { headers: authorization === undefined ? {} : { authorization } })).status

  test('want the token, in either form', async () => {
    const { url } = await serve({ auth: { token, keys } })
    for (const path of paths) {
      const refused = await fetch(url + path)
      expect(refused.status, path).toBe(401)
      expect(refused.headers.get('www-authenticate')).toContain('Basic')
      expect(await refused.json()).toMatchObject({ error: { code: 'UNAUTHENTICATED' } })
      for (const wrong of ['Bearer nothing', `Basic ${btoa('any:nothing')}`, token, 'Bearer', `Bearer ${token}x`])
        expect(await status(url + path, wrong), wrong).toBe(401)
      expect(await status(url + path, `Bearer ${token}`), path).toBe(200)
      expect(await status(url + path, `Basic ${btoa(`anybody:${token}`)}`), path).toBe(200)
    }
    expect(await status(`${url}/nowhere`)).toBe(401)
    expect(await status(`${url}/nowhere`, `Bearer ${token}`)).toBe(404)
  })

  test('are closed when only keys are configured', async () => {
    const { url } = await serve({ auth: { keys } })
    for (const path of paths) {
      expect(await status(url + path), path).toBe(401)
      expect(await status(url + path, `Bearer ${secret}`), path).toBe(401)
    }
  })

  test('health and readiness need nothing', async () => {
    const { url } = await serve({ auth: { token } })
    expect(await status(`${url}/healthz`)).toBe(200)
    expect(await status(`${url}/readyz`)).toBe(200)
  })

  test('the client library shows it', async () => {
    const { url, v1 } = await serve({ auth: { token } })
    await v1('POST', 'streams', { name: 'clicks' }, { authorization: `Bearer ${token}` })
    const client = connect({ url, token })
    onTestFinished(() => client.close())
    await client.append('clicks', { key: 'a', value: 1 })
    const stranger = connect({ url, token: 'another-token-of-some-length' })
    onTestFinished(() => stranger.close())
    await expect(stranger.append('clicks', { key: 'a', value: 1 })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })
})
