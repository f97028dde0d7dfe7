import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { FunctionAnswer } from '../../src/functions/index.js'
import { ensureBuilt } from '../built.js'
import { type Serving, serve, serveOn } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

const shared = mkdtempSync(join(tmpdir(), 'millrace-test-'))
/** What most tests call functions of. */
let serving: Serving

beforeAll(async () => {
  ensureBuilt()
  serving = await serveOn({ dataDir: join(shared, 'data'), functionHost: { functionsMax: 1000 } })
  await aws(serving, 'CreateTable', {
    TableName: 'tab',
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
})

afterEach(async () => {
  const { functions } = serving.daemon.rooms
  if (functions.has('f')) await functions.delete('f')
})

afterAll(async () => {
  await serving.close()
  rmSync(shared, { recursive: true, force: true })
})

async function aws({ url }: Serving, operation: string, input: object): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` }
  return (await (await fetch(url, { method: 'POST', headers, body: JSON.stringify(input) })).json()) as never
}

/** Writes files and gives their folder. */
function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

interface Called extends FunctionAnswer {
  readonly value: never
}

async function call({ daemon }: Serving, functionName: string, event: unknown = {}): Promise<Called> {
  const payload = new Uint8Array(Buffer.from(JSON.stringify(event)))
  const answer = await daemon.rooms.functions.invoke({ functionName, payload, source: 'client' })
  return { ...answer, value: JSON.parse(answer.payload) as never }
}

/** A function whose handlers are the exports of one module. */
async function create(serving: Serving, text: string, settings: object = {}, file = 'index.js'): Promise<void> {
  const path = join(folderOf({ [file]: text }), file)
  await serving.daemon.rooms.functions.create('f', { path, ...settings })
}

/** A handler that is whichever export its event names: one thread serves many tests. */
const chosen = 'exports.handler = (event, ...more) => exports[event.run](event, ...more);'

describe('styles of handlers', () => {
  beforeAll(async () => {
    const path = join(shared, 'styles.js')
    writeFileSync(
      path,
      `${chosen}
       exports.async = async (event) => event.a + 1
       exports.promise = (event) => Promise.resolve(event.a)
       exports.callback = (event, context, callback) => { setTimeout(() => callback(null, event.a), 5) }
       exports.succeed = (event, context) => { context.succeed(event.a) }
       exports.done = (event, context) => { context.done(null, event.a) }
       exports.nothing = () => {}
       exports.undefined = async () => undefined`,
    )
    await serving.daemon.rooms.functions.create('styles', { path, timeoutMs: 60_000 })
  })

  test.each([
    ['async', 3],
    ['promise', 2],
    ['callback', 2],
    ['succeed', 2],
    ['done', 2],
    ['nothing', null],
    ['undefined', null],
  ])('%s', async (run, value) => {
    const answer = await call(serving, 'styles', { run, a: 2 })
    expect([answer.functionError, answer.value]).toEqual([undefined, value])
  })

  test.each([
    ['index.mjs', 'export const handler = async () => import.meta.url.endsWith("index.mjs")'],
    ['index.cjs', 'module.exports = { handler: async () => typeof require === "function" }'],
    ['index.js', 'module.exports.handler = async () => typeof require === "function"'],
  ])('modules: %s', async (file, text) => {
    await create(serving, text, {}, file)
    expect((await call(serving, 'f')).value).toBe(true)
  })

  test('of a folder: the type of its package, handlers in folders and objects, files and modules of its own', async () => {
    const path = folderOf({
      'package.json': '{"type": "module"}',
      'node_modules/own/index.js': 'exports.name = "own"',
      'node_modules/own/package.json': '{"name": "own"}',
      'src/index.js':
        'import { name } from "own"; import { more } from "../lib/more.js"; export const api = { get: async () => [name, more] }',
      'lib/more.js': 'export const more = "more"',
    })
    await serving.daemon.rooms.functions.create('f', { path, handler: 'src/index.api.get' })
    expect((await call(serving, 'f')).value).toEqual(['own', 'more'])
  })

  test('of a file: files that it needs and modules beside it', async () => {
    const folder = folderOf({
      'functions/count.js':
        'exports.handler = async (event) => event.local ? require("./local") : [require("beside").name, require("../lib/more").more]',
      'functions/other.js': 'exports.unused = 1',
      'lib/more.js': 'exports.more = "more"',
      'node_modules/beside/index.js': 'exports.name = "beside"',
    })
    const view = await serving.daemon.rooms.functions.create('f', { path: join(folder, 'functions/count.js') })
    expect(view.handler).toBe('functions/count.handler')
    expect((await call(serving, 'f')).value).toEqual(['beside', 'more'])
  })
})

test('the context and the environment are those of Lambda', async () => {
  const text =
    'exports.handler = async (event, { getRemainingTimeInMillis, ...context }) => ({ context, left: getRemainingTimeInMillis(), env: process.env })'
  await create(serving, text, { environment: { MINE: 'yes' }, timeoutMs: 5000, memoryMb: 256 })
  const { value, requestId } = await call(serving, 'f')
  const { context, left, env } = value as { context: object; left: number; env: Record<string, string> }
  expect(context).toEqual({
    callbackWaitsForEmptyEventLoop: true,
    functionName: 'f',
    functionVersion: '$LATEST',
    invokedFunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:f',
    memoryLimitInMB: '256',
    awsRequestId: requestId,
    logGroupName: '/aws/lambda/f',
    logStreamName: expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/),
  })
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThanOrEqual(5000)
  expect(env).toMatchObject({
    MINE: 'yes',
    AWS_REGION: 'us-east-1',
    AWS_LAMBDA_FUNCTION_NAME: 'f',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
    AWS_ENDPOINT_URL: serving.url,
    _HANDLER: 'index.handler',
  })
  expect(Object.keys(env).filter((name) => name.startsWith('MILLRACE') || name.startsWith('npm_'))).toEqual([])
})

describe('handlers that fail', () => {
  const text = `${chosen}
    exports.throws = () => { throw new TypeError('bad') }
    exports.rejects = async () => { throw new RangeError('far') }
    exports.rejectsNothing = () => Promise.reject()
    exports.neverSettles = async () => { await new Promise(() => {}) }
    exports.callsBack = (event, context, callback) => callback('words')
    exports.loops = () => { console.log('about to hang'); for (;;); }
    exports.hangs = (event, context, callback) => { setInterval(() => {}, 1000); callback(null, 1) }
    exports.exits = () => process.exit(3)
    exports.forgets = async () => { Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 1000)) }
    exports.late = (event, context, callback) => { setTimeout(() => { throw new Error('late') }, 1) }
    exports.leaks = () => { const kept = []; for (;;) kept.push(new Array(10000).fill(1.5)) }
    exports.buffers = async () => {
      const kept = []
      for (;;) { kept.push(Buffer.alloc(1 << 24, 1)); await new Promise((r) => setTimeout(r, 2)) }
    }
    exports.big = async () => 10n
    exports.circle = async () => { const a = {}; a.a = a; return a }
    exports.huge = async () => 'x'.repeat(7 * 1024 * 1024)
    exports.well = async () => 'well'
  `
  beforeAll(async () => {
    const path = join(shared, 'failing.js')
    writeFileSync(path, text)
    await serving.daemon.rooms.functions.create('failing', { path, timeoutMs: 60_000, memoryMb: 64, concurrency: 1 })
  })

  const task = expect.stringMatching(/^RequestId: [0-9a-f-]{36} Error: Task timed out after 0.30 seconds$/)
  test.each([
    ['throws', 'TypeError', 'bad'],
    ['rejects', 'RangeError', 'far'],
    ['rejectsNothing', 'string', 'handled'],
    ['neverSettles', 'Runtime.NodeJsExit', expect.stringContaining('a Promise that was never settled')],
    ['callsBack', 'string', 'words'],
    ['loops', 'Sandbox.Timedout', task],
    ['hangs', 'Sandbox.Timedout', task],
    ['exits', 'Runtime.ExitError', expect.stringMatching(/Error: Runtime exited with error: exit status 3$/)],
    ['forgets', 'Runtime.UnhandledPromiseRejection', 'Error: lost'],
    ['late', 'Error', 'late'],
    ['leaks', 'Runtime.ExitError', expect.stringMatching(/Error: Runtime exited with error: signal: killed$/)],
    ['buffers', 'Runtime.ExitError', expect.stringMatching(/Error: Runtime exited with error: signal: killed$/)],
    ['big', 'Error', 'Unable to stringify response body'],
    ['circle', 'Error', 'Unable to stringify response body'],
    ['huge', 'Function.ResponseSizeTooLarge', expect.stringContaining('6291556 bytes')],
  ])('%s: the error that AWS gives, and the next call is well', async (run, errorType, errorMessage) => {
    const isOfTime = run === 'loops' || run === 'hangs'
    const { functions } = serving.daemon.rooms
    const name = isOfTime ? 'f' : 'failing'
    if (isOfTime) await create(serving, text, { timeoutMs: 300, concurrency: 1 })
    const answer = await call(serving, name, { run })
    expect([answer.functionError, answer.value]).toEqual([
      'Unhandled',
      expect.objectContaining({ errorType, errorMessage }),
    ])
    // What was printed before the thread hung is not lost.
    if (run === 'loops') expect(answer.logTail).toContain('about to hang')
    // Not what it held when it last could say so.
    if (run === 'leaks')
      expect(Number(/Max Memory Used: (\d+) MB/.exec(answer.logTail)?.[1])).toBeGreaterThanOrEqual(64)
    if (isOfTime) await functions.update('f', { timeoutMs: 60_000 })
    expect((await call(serving, name, { run: 'well' })).value).toBe('well')
  })

  test.each([
    ['exports.handler = ', 'Runtime.UserCodeSyntaxError', /^SyntaxError: /],
    ['require("nowhere")', 'Runtime.ImportModuleError', /^Error: Cannot find module 'nowhere'/],
    ['throw new TypeError("at load")', 'TypeError', /^at load$/],
    ['exports.handler = 1', 'Runtime.HandlerNotFound', /is not a function$/],
    ['exports.other = 1', 'Runtime.HandlerNotFound', /^index.handler is undefined or not exported$/],
  ])('a module that does not load: %s', async (module, errorType, message) => {
    await create(serving, module)
    const { functionError, value } = await call(serving, 'f')
    expect([functionError, value]).toEqual([
      'Unhandled',
      expect.objectContaining({ errorType, errorMessage: expect.stringMatching(message) }),
    ])
  })

  test('a module that never loads', async () => {
    const serving = await serve({ functionHost: { initMsMax: 300 } })
    await create(
      serving,
      'await new Promise(() => setInterval(() => {}, 1000)); export const handler = 1',
      {},
      'index.mjs',
    )
    expect((await call(serving, 'f')).value).toMatchObject({ errorType: 'Sandbox.Timedout' })
  })
})

describe('what is under way when a handler answers', () => {
  const sdk = (version: 2 | 3) =>
    version === 2
      ? `const AWS = require('aws-sdk'); const db = new AWS.DynamoDB()
         const put = (input, done) => db.putItem(input, done)`
      : `const { DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb'); const db = new DynamoDBClient({})
         const put = (input, done) => { db.send(new PutItemCommand(input)).then(() => done(), done) }`
  const text = (version: 2 | 3) => `${chosen} ${sdk(version)}
    const one = { TableName: 'tab', Item: { id: { S: '1' } } }
    exports.early = (event, context, callback) => { put(one, (error) => console.log('put', error)); callback(null, 'early') }
    exports.earlyAsync = async () => { put(one, () => {}) }
    exports.earlyFailure = () => { put(one, () => {}); throw new Error('early') }
    exports.failed = (event, context, callback) => {
      put({ ...one, TableName: 'nowhere' }, (error) => console.log('logged away', error.message))
      put({ ...one, TableName: 'nowhere' }, () => {})
      callback(null, 'fine')
    }
    exports.condition = async () => new Promise((resolve) => {
      put(one, () => put({ ...one, ConditionExpression: 'attribute_not_exists(id)' }, (error) => resolve(error.name)))
    })`

  test.each([2, 3] as const)(
    'requests of version %s of the SDK have ended, and failed ones are told',
    async (version) => {
      await aws(serving, 'DeleteItem', { TableName: 'tab', Key: { id: { S: '1' } } })
      const items = async () => (await aws(serving, 'Scan', { TableName: 'tab' })).Count
      const { functions } = serving.daemon.rooms

      await create(serving, text(version), { timeoutMs: 60_000 })
      expect((await call(serving, 'f', { run: 'early' })).value).toBe('early')
      expect(await items()).toBe(1)
      await aws(serving, 'DeleteItem', { TableName: 'tab', Key: { id: { S: '1' } } })

      await call(serving, 'f', { run: 'earlyAsync' })
      expect(await items()).toBe(1)
      await aws(serving, 'DeleteItem', { TableName: 'tab', Key: { id: { S: '1' } } })

      // What an attempt began is over before the next one.
      expect((await call(serving, 'f', { run: 'earlyFailure' })).value).toMatchObject({ errorMessage: 'early' })
      expect(await items()).toBe(1)

      expect((await call(serving, 'f', { run: 'condition' })).value).toBe('ConditionalCheckFailedException')
      expect(functions.show('f').counts).toMatchObject({ failedSdkRequests: 0, unhandledSdkErrors: 0 })

      const told = await call(serving, 'f', { run: 'failed' })
      expect([told.functionError, told.value]).toEqual([undefined, 'fine'])
      expect(told.logTail).toMatch(/WARN\tThe call succeeded although 2 requests .*ResourceNotFoundException/)
      expect(functions.show('f').counts).toMatchObject({ failedSdkRequests: 2, unhandledSdkErrors: 1 })

      await functions.update('f', { failOnUnhandledSdkError: true })
      const failed = await call(serving, 'f', { run: 'failed' })
      expect([failed.functionError, failed.value]).toEqual([
        'Unhandled',
        expect.objectContaining({ errorType: 'Millrace.UnhandledSdkError' }),
      ])
    },
  )

  test('with auth the SDK in a handler shows a key that the daemon takes, and nobody else has one', async () => {
    const serving = await serve({ auth: { token: 'a token of sixteen'.replaceAll(' ', '-') } })
    await create(
      serving,
      `const { DynamoDBClient, ListTablesCommand } = require('@aws-sdk/client-dynamodb')
       exports.handler = async () => (await new DynamoDBClient({}).send(new ListTablesCommand({}))).TableNames`,
      { timeoutMs: 60_000 },
    )
    expect((await call(serving, 'f')).value).toEqual([])
    expect(await aws(serving, 'ListTables', {})).toMatchObject({
      __type: expect.stringContaining('MissingAuthenticationToken'),
    })
  })

  test('who does not want to wait for the event loop does not', async () => {
    await create(
      serving,
      `exports.handler = (event, context, callback) => {
         context.callbackWaitsForEmptyEventLoop = false
         setInterval(() => {}, 1000)
         callback(null, 'at once')
       }`,
      { timeoutMs: 60_000 },
    )
    expect((await call(serving, 'f')).value).toBe('at once')
    expect((await call(serving, 'f')).value).toBe('at once')
  })
})

test('no more calls than a function may have, nor threads than all may have; idle ones make room', async () => {
  const serving = await serve({ functionHost: { threadsMax: 2 } })
  const { functions } = serving.daemon.rooms
  const waits = 'exports.handler = (event, context, callback) => setTimeout(() => callback(null, 1), event.ms)'
  const path = join(folderOf({ 'index.js': waits }), 'index.js')
  for (const name of ['a', 'b', 'c']) await functions.create(name, { path, concurrency: 1, timeoutMs: 60_000 })
  expect(functions.free('a')).toBe(1)
  const first = call(serving, 'a', { ms: 300 })
  expect(functions.free('a')).toBe(0)
  await expect(call(serving, 'a')).rejects.toMatchObject({ code: 'FUNCTION_BUSY' })
  const second = call(serving, 'b', { ms: 300 })
  expect(functions.free('c')).toBe(0)
  await expect(call(serving, 'c')).rejects.toMatchObject({ code: 'FUNCTION_BUSY' })
  await Promise.all([first, second])
  expect(functions.free('c')).toBe(1)
  expect((await call(serving, 'c', { ms: 1 })).value).toBe(1)
  expect(functions.show('a').counts.throttles).toBe(1)
  await expect(call(serving, 'nobody')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
})
