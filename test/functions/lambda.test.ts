import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateFunctionCommand,
  GetFunctionCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  type InvokeCommandInput,
  LambdaClient,
  ListFunctionsCommand,
  ListVersionsByFunctionCommand,
  paginateListFunctions,
  waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type Serving, serve, serveOn } from '../server/serving.js'

const module = `
  let attempts = 0
  exports.echo = async (event, context) => { console.log('hello', event); return { event, id: context.awsRequestId } }
  exports.fails = async () => { attempts++; throw new TypeError('bad') }
  exports.attempts = async () => attempts
  exports.waits = async ({ ms }) => new Promise((resolve) => setTimeout(resolve, ms))
  const { LambdaClient, InvokeCommand } = require('@aws-sdk/client-lambda')
  exports.calls = async ({ name }) => {
    const { Payload } = await new LambdaClient({}).send(new InvokeCommand({ FunctionName: name, Payload: '{"from":"calls"}' }))
    return JSON.parse(Buffer.from(Payload).toString()).event
  }
`
const arn = (name: string) => `arn:aws:lambda:us-east-1:123456789012:function:${name}`

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const path = join(folder, 'f.js')
let serving: Serving
let client: LambdaClient

const clientOf = ({ url }: Serving, secretAccessKey = 'anything') =>
  new LambdaClient({
    endpoint: url,
    region: 'us-east-1',
    maxAttempts: 1,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey },
  })

const textOf = (payload: Uint8Array | undefined): string => Buffer.from(payload ?? []).toString()

async function invoke(FunctionName: string, event: unknown, more: Partial<InvokeCommandInput> = {}) {
  const answer = await client.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(event), ...more }))
  return { ...answer, text: textOf(answer.Payload) }
}

async function refusal(asked: Promise<unknown>) {
  const error = (await asked.then(
    () => ({ name: 'none' }),
    (thrown: unknown) => thrown,
  )) as { name: string; message: string; $metadata?: { httpStatusCode: number } }
  return { name: error.name, message: error.message, status: error.$metadata?.httpStatusCode }
}

beforeAll(async () => {
  ensureBuilt()
  writeFileSync(path, module)
  serving = await serveOn({ dataDir: join(folder, 'data'), functionHost: { waitingCallsMax: 2 } })
  client = clientOf(serving)
  const { functions } = serving.daemon.rooms
  for (const [name, handler] of [
    ['echo', 'echo'],
    ['fails', 'fails'],
    ['waits', 'waits'],
    ['calls', 'calls'],
  ] as const)
    await functions.create(name, { path, handler, concurrency: 1, timeoutMs: 60_000 })
})

afterAll(async () => {
  client.destroy()
  await serving.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('Invoke', () => {
  test('by name, by a part of the ARN, by the ARN, with the version that there is', async () => {
    for (const name of ['echo', '123456789012:function:echo', 'function:echo', arn('echo'), `${arn('echo')}:$LATEST`]) {
      const answer = await invoke(name, { a: 1 })
      expect(JSON.parse(answer.text)).toEqual({ event: { a: 1 }, id: answer.$metadata.requestId })
      expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: '$LATEST' })
      expect([answer.FunctionError, answer.LogResult]).toEqual([undefined, undefined])
    }
    const none = await client.send(new InvokeCommand({ FunctionName: 'echo', Qualifier: '$LATEST' }))
    expect(JSON.parse(textOf(none.Payload))).toMatchObject({ event: {} })
  })

  test('a handler that fails, and the end of its log', async () => {
    const answer = await invoke('fails', {}, { LogType: 'Tail' })
    expect(answer).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled', ExecutedVersion: '$LATEST' })
    expect(JSON.parse(answer.text)).toMatchObject({ errorType: 'TypeError', errorMessage: 'bad' })
    const log = Buffer.from(answer.LogResult as string, 'base64').toString()
    expect(log).toMatch(/^START RequestId: .*\n.*ERROR\tInvoke Error .*\nEND RequestId: .*\nREPORT RequestId: /s)
  })

  test('Event: taken at once, called later, and made again while it fails; bounded', async () => {
    const answer = await invoke('fails', {}, { InvocationType: 'Event' })
    expect([answer.StatusCode, answer.text]).toEqual([202, ''])
    const { functions } = serving.daemon.rooms
    await expect.poll(() => functions.show('fails').counts.errors).toBe(2)
    expect(functions.show('fails').waitingCalls).toBe(1)
    await invoke('echo', { later: true }, { InvocationType: 'Event' })
    await expect.poll(() => serving.daemon.functions.logs.of('echo').newest(10_000)).toContain('later: true')
    await expect.poll(() => functions.show('echo').waitingCalls).toBe(0)
    await invoke('waits', { ms: 30_000 }, { InvocationType: 'Event' })
    expect(await refusal(invoke('echo', {}, { InvocationType: 'Event' }))).toMatchObject({
      name: 'TooManyRequestsException',
      status: 429,
    })
    const metrics = await (await fetch(`${serving.url}/metrics`)).text()
    expect(metrics).toContain('millrace_function_waiting_calls{function="fails"} 1\n')
    expect(metrics).toMatch(/millrace_function_seconds_count\{function="fails"\} 2\n/)
    expect(metrics).toMatch(/millrace_request_seconds_count\{operation="Invoke",code="TooManyRequestsException"\} 1\n/)
    // It holds the only thread.
    await expect.poll(() => functions.free('waits')).toBe(0)
    expect(await refusal(invoke('waits', {}))).toEqual({
      name: 'TooManyRequestsException',
      status: 429,
      message: 'Rate Exceeded.',
    })
  })

  test('DryRun calls nothing', async () => {
    const before = serving.daemon.rooms.functions.show('echo').counts.invocations
    expect((await invoke('echo', {}, { InvocationType: 'DryRun' })).StatusCode).toBe(204)
    expect(serving.daemon.rooms.functions.show('echo').counts.invocations).toBe(before)
    expect(await refusal(invoke('nobody', {}, { InvocationType: 'DryRun' }))).toMatchObject({ status: 404 })
  })

  test('in a handler the SDK reaches the functions of its daemon', async () => {
    expect(JSON.parse((await invoke('calls', { name: 'echo' })).text)).toEqual({ from: 'calls' })
  })

  test.each<[string, Partial<InvokeCommandInput>, object]>([
    [
      'no function',
      { FunctionName: 'nobody' },
      { name: 'ResourceNotFoundException', status: 404, message: `Function not found: ${arn('nobody')}` },
    ],
    [
      'no version',
      { FunctionName: 'echo', Qualifier: '7' },
      { name: 'ResourceNotFoundException', message: `Function not found: ${arn('echo:7')}` },
    ],
    [
      'another region',
      { FunctionName: arn('echo').replace('us-east-1', 'eu-west-3') },
      { message: "Functions from 'eu-west-3' are not reachable in this region ('us-east-1')" },
    ],
    [
      'another account',
      { FunctionName: arn('echo').replace('123456789012', '999999999999') },
      { name: 'ResourceNotFoundException' },
    ],
    [
      'no name',
      { FunctionName: 'a name' },
      {
        name: 'ValidationException',
        status: 400,
        message: expect.stringContaining("Value 'a name' at 'functionName'"),
      },
    ],
    [
      'no JSON',
      { Payload: '{' },
      {
        name: 'InvalidRequestContentException',
        status: 400,
        message: expect.stringContaining('Could not parse request body into json'),
      },
    ],
    [
      'no type',
      { InvocationType: 'Never' as never },
      {
        name: 'ValidationException',
        message: expect.stringContaining('enum value set: [RequestResponse, Event, DryRun]'),
      },
    ],
    ['too large', { Payload: `"${'x'.repeat(6 * 1024 * 1024)}"` }, { name: 'RequestTooLargeException', status: 413 }],
    [
      'too large for later',
      { Payload: `"${'x'.repeat(1024 * 1024)}"`, InvocationType: 'Event' },
      {
        name: 'RequestTooLargeException',
        message: '1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)',
      },
    ],
  ])('refused as on AWS: %s', async (_what, input, expected) => {
    expect(await refusal(client.send(new InvokeCommand({ FunctionName: 'echo', ...input })))).toMatchObject(expected)
  })
})

test('what is said of functions', async () => {
  const { Configuration, Code, Concurrency } = await client.send(new GetFunctionCommand({ FunctionName: 'echo' }))
  const configuration = {
    FunctionName: 'echo',
    FunctionArn: arn('echo'),
    Handler: 'f.echo',
    MemorySize: 128,
    Timeout: 60,
    Version: '$LATEST',
    State: 'Active',
    CodeSha256: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
    RevisionId: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  }
  expect(Configuration).toMatchObject(configuration)
  expect([Code, Concurrency]).toEqual([{ RepositoryType: 'Millrace' }, { ReservedConcurrentExecutions: 1 }])
  expect(await client.send(new GetFunctionConfigurationCommand({ FunctionName: arn('echo') }))).toMatchObject(
    configuration,
  )
  await waitUntilFunctionActiveV2({ client, maxWaitTime: 10 }, { FunctionName: 'echo' })
  expect(await refusal(client.send(new GetFunctionCommand({ FunctionName: 'nobody' })))).toMatchObject({ status: 404 })
})

test('pages of functions', async () => {
  const names: (string | undefined)[] = []
  const pages: number[] = []
  for await (const { Functions = [] } of paginateListFunctions({ client, pageSize: 3 }, {})) {
    pages.push(Functions.length)
    names.push(...Functions.map(({ FunctionName }) => FunctionName))
  }
  expect([names, pages]).toEqual([
    ['calls', 'echo', 'fails', 'waits'],
    [3, 1],
  ])
  expect(await refusal(client.send(new ListFunctionsCommand({ MaxItems: 10_001 })))).toMatchObject({ status: 400 })
  expect(await refusal(client.send(new ListFunctionsCommand({ Marker: 'nonsense of ours' })))).toMatchObject({
    name: 'InvalidParameterValueException',
  })
})

test('what is not here says what does the same', async () => {
  const create = new CreateFunctionCommand({ FunctionName: 'g', Role: 'arn:aws:iam::123456789012:role/r', Code: {} })
  expect(await refusal(client.send(create))).toEqual({
    name: 'UnsupportedOperationException',
    status: 400,
    message: expect.stringContaining('millrace functions create NAME --path PATH'),
  })
  const versions = new ListVersionsByFunctionCommand({ FunctionName: 'echo' })
  expect((await refusal(client.send(versions))).name).toBe('UnsupportedOperationException')
  const unknown = await fetch(`${serving.url}/2015-03-31/nothing`)
  expect([unknown.status, unknown.headers.get('x-amzn-errortype')]).toEqual([404, 'UnknownOperationException'])
  expect((await fetch(`${serving.url}/2015-03-31/functions/%`)).status).toBe(400)
})

test('a page of another origin calls nothing', async () => {
  const url = `${serving.url}/2015-03-31/functions/echo/invocations`
  const answer = await fetch(url, { method: 'POST', body: '{}', headers: { origin: 'http://elsewhere.example' } })
  expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([403, 'AccessDeniedException'])
})

test('with auth only who has a key, whose signature is one for Lambda', async () => {
  const guarded = await serve({ auth: { keys: ['AKIDEXAMPLE:the-right-secret'] } })
  await guarded.daemon.rooms.functions.create('echo', { path, handler: 'echo', timeoutMs: 60_000 })
  const right = clientOf(guarded, 'the-right-secret')
  // Colons are encoded once in the path, and twice where it is signed.
  const answer = await right.send(new InvokeCommand({ FunctionName: `${arn('echo')}:$LATEST`, Payload: '1' }))
  expect(JSON.parse(textOf(answer.Payload))).toMatchObject({ event: 1 })
  expect((await right.send(new ListFunctionsCommand({ MaxItems: 5 }))).Functions).toHaveLength(1)
  expect(await refusal(clientOf(guarded, 'a wrong one').send(new ListFunctionsCommand({})))).toMatchObject({
    name: 'InvalidSignatureException',
    status: 403,
  })
  expect((await fetch(`${guarded.url}/2015-03-31/functions`)).status).toBe(403)
})
