/**
 * What AWS itself answered and did in 16 scenarios of event source mappings on a table's stream (recorded in 2024 and 2025),
 * played through the AWS SDK against the daemon. Where AWS sent to SQS, SNS and S3, a stream, a server and a file stand here.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AttributeValue,
  CreateTableCommand,
  DynamoDBClient,
  PutItemCommand,
  type StreamViewType,
} from '@aws-sdk/client-dynamodb'
import {
  CreateEventSourceMappingCommand,
  type CreateEventSourceMappingCommandInput,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ensureBuilt } from '../../built.js'
import { type Serving, serveOn } from '../../server/serving.js'

let serving: Serving
let lambda: LambdaClient
let dynamodb: DynamoDBClient
let posts: Server
const posted: Record<string, unknown>[] = []
let folder: string

/** Notes its event, and then does what its environment says. */
const handler = `
const { appendFileSync } = require('node:fs')
exports.handler = async (event) => {
  appendFileSync(process.env.EVENTS, JSON.stringify(event) + '\\n')
  if (process.env.FAILS) throw new Error('as it was told')
  if (process.env.POISON) {
    const failed = event.Records.find(({ dynamodb }) => dynamodb.Keys.id.S === process.env.POISON)
    return { batchItemFailures: failed ? [{ itemIdentifier: failed.dynamodb.SequenceNumber }] : [] }
  }
  return JSON.parse(process.env.ANSWER ?? 'null')
}
`

beforeAll(async () => {
  await ensureBuilt()
  folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  mkdirSync(join(folder, 'code'))
  writeFileSync(join(folder, 'code', 'index.js'), handler)
  serving = await serveOn({ dataDir: join(folder, 'data') })
  const client = { endpoint: serving.url, region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }
  lambda = new LambdaClient(client)
  dynamodb = new DynamoDBClient(client)
  posts = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    posted.push(JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>)
    response.end()
  })
  await new Promise<void>((resolve) => posts.listen(0, '127.0.0.1', () => resolve()))
})
afterAll(async () => {
  lambda.destroy()
  dynamodb.destroy()
  posts.close()
  await serving.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Event {
  readonly Records: readonly { readonly dynamodb: { readonly SequenceNumber: string } }[]
}

/** A table with a stream, a function, and what happens between them. */
class Scenario {
  readonly name = `s-${randomUUID()}`
  streamArn = ''

  static async open(
    environment: Record<string, string> = {},
    { key = 'my_partition_key', view = 'NEW_IMAGE' as StreamViewType } = {},
  ): Promise<Scenario> {
    const scenario = new Scenario()
    const { name } = scenario
    const { TableDescription } = await dynamodb.send(
      new CreateTableCommand({
        TableName: name,
        AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }],
        KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamEnabled: true, StreamViewType: view },
      }),
    )
    scenario.streamArn = TableDescription?.LatestStreamArn as string
    await serving.daemon.rooms.functions.create(name, {
      path: join(folder, 'code'),
      environment: { EVENTS: join(folder, `${name}.events`), ...environment },
    })
    return scenario
  }

  /** As the scenarios that have a batch of one and a second to wait for more. */
  create(more: Partial<CreateEventSourceMappingCommandInput> = {}) {
    return lambda.send(
      new CreateEventSourceMappingCommand({
        FunctionName: this.name,
        EventSourceArn: this.streamArn,
        StartingPosition: 'TRIM_HORIZON',
        BatchSize: 1,
        MaximumBatchingWindowInSeconds: 1,
        MaximumRetryAttempts: 1,
        ...more,
      }),
    )
  }

  async put(item: Record<string, AttributeValue>): Promise<void> {
    await dynamodb.send(new PutItemCommand({ TableName: this.name, Item: item }))
  }

  get events(): Event[] {
    const file = join(folder, `${this.name}.events`)
    if (!existsSync(file)) return []
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Event)
  }

  async eventsOf(count: number): Promise<Event[]> {
    await vi.waitFor(() => expect(this.events.length).toBeGreaterThanOrEqual(count), { timeout: 120_000, interval: 50 })
    return this.events
  }

  /** Everything of it was read, and nothing is under way. */
  async passed(): Promise<void> {
    const isPassed = (): boolean =>
      serving.daemon.rooms.mappings
        .all()
        .every(({ row, lagRecords }) => row.functionName !== this.name || lagRecords === 0)
    await vi.waitFor(() => expect(isPassed()).toBe(true), { timeout: 120_000, interval: 50 })
  }

  get functionArn(): string {
    return `arn:aws:lambda:us-east-1:000000000000:function:${this.name}`
  }

  /** What is answered to a creation. */
  description(more: object = {}): object {
    return {
      BatchSize: 1,
      BisectBatchOnFunctionError: false,
      DestinationConfig: { OnFailure: {} },
      EventSourceArn: this.streamArn,
      EventSourceMappingArn: expect.stringMatching(
        /^arn:aws:lambda:us-east-1:\d{12}:event-source-mapping:[0-9a-f-]{36}$/,
      ),
      FunctionArn: expect.stringMatching(new RegExp(`^arn:aws:lambda:us-east-1:\\d{12}:function:${this.name}$`)),
      FunctionResponseTypes: [],
      LastModified: expect.any(Date),
      LastProcessingResult: 'No records processed',
      MaximumBatchingWindowInSeconds: 1,
      MaximumRecordAgeInSeconds: -1,
      MaximumRetryAttempts: 1,
      ParallelizationFactor: 1,
      StartingPosition: 'TRIM_HORIZON',
      State: 'Creating',
      StateTransitionReason: 'User action',
      TumblingWindowInSeconds: 0,
      UUID: expect.stringMatching(/^[0-9a-f-]{36}$/),
      ...more,
    }
  }

  /** An event with one record. */
  event(eventName: string, dynamodb: object): object {
    return {
      Records: [
        {
          eventID: expect.stringMatching(/^[0-9a-f]{32}$/),
          eventName,
          eventVersion: '1.1',
          eventSource: 'aws:dynamodb',
          awsRegion: 'us-east-1',
          dynamodb: {
            ApproximateCreationDateTime: expect.any(Number),
            SequenceNumber: expect.stringMatching(/^\d{21,40}$/),
            ...dynamodb,
          },
          eventSourceARN: this.streamArn,
        },
      ],
    }
  }

  /** The document of a batch of one record that was given up. */
  document(approximateInvokeCount: number, functionError: string | null): object {
    const seconds = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/)
    return {
      requestContext: {
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        functionArn: expect.stringMatching(new RegExp(`:function:${this.name}$`)),
        condition: 'RetryAttemptsExhausted',
        approximateInvokeCount,
      },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError },
      version: '1.0',
      timestamp: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/),
      DDBStreamBatchInfo: {
        shardId: expect.stringMatching(/^shardId-\d{20}-[0-9a-zA-Z]{1,36}$/),
        startSequenceNumber: expect.stringMatching(/^\d{21,40}$/),
        endSequenceNumber: expect.stringMatching(/^\d{21,40}$/),
        approximateArrivalOfFirstRecord: seconds,
        approximateArrivalOfLastRecord: seconds,
        batchSize: 1,
        streamArn: this.streamArn,
      },
    }
  }
}

const withBinary = { my_partition_key: { S: 'hello world' }, binary_key: { B: Buffer.from('foobar') } }
const binaryChange = {
  Keys: { my_partition_key: { S: 'hello world' } },
  NewImage: { binary_key: { B: 'Zm9vYmFy' }, my_partition_key: { S: 'hello world' } },
  SizeBytes: 70,
  StreamViewType: 'NEW_IMAGE',
}

/** The documents in a plain stream, without the event that AWS does not send to a queue. */
async function documentsIn(stream: string, count: number): Promise<object[]> {
  const read = async (): Promise<object[]> => {
    const { json } = await serving.v1('GET', `streams/${stream}/shards`)
    const [shard] = (json as unknown as { shards: { id: number }[] }).shards
    const { text } = await serving.v1('GET', `streams/${stream}/records?shard=${shard?.id}`)
    return (JSON.parse(text) as { records: { value: { payload?: object } }[] }).records.map(({ value }) => {
      const { payload: _, ...document } = value
      return document
    })
  }
  await vi.waitFor(async () => expect(await read()).toHaveLength(count), { timeout: 120_000, interval: 100 })
  return read()
}

async function streamNamed(name: string): Promise<string> {
  await serving.v1('POST', 'streams', { name })
  return name
}

describe.concurrent('as recorded of AWS', () => {
  it('a mapping brings a record with a binary attribute', async () => {
    const scenario = await Scenario.open()
    const { $metadata, ...created } = await scenario.create()
    expect($metadata.httpStatusCode).toBe(202)
    expect(created).toEqual(scenario.description())
    await scenario.put(withBinary)
    expect(await scenario.eventsOf(1)).toEqual([scenario.event('INSERT', binaryChange)])
  })

  it('a mapping is listed with its defaults, is enabled, and is gone when it was deleted', async () => {
    const scenario = await Scenario.open({}, { key: 'id' })
    const { $metadata, ...created } = await lambda.send(
      new CreateEventSourceMappingCommand({
        FunctionName: scenario.name,
        EventSourceArn: scenario.streamArn,
        StartingPosition: 'TRIM_HORIZON',
      }),
    )
    const defaults = { BatchSize: 100, MaximumBatchingWindowInSeconds: 0, MaximumRetryAttempts: -1 }
    expect(created).toEqual(scenario.description(defaults))
    const list = await lambda.send(new ListEventSourceMappingsCommand({ EventSourceArn: scenario.streamArn }))
    expect(list.$metadata.httpStatusCode).toBe(200)
    expect(list.EventSourceMappings).toEqual([scenario.description({ ...defaults, State: 'Enabled' })])
    await lambda.send(new DeleteEventSourceMappingCommand({ UUID: created.UUID }))
    await vi.waitFor(
      () =>
        expect(lambda.send(new GetEventSourceMappingCommand({ UUID: created.UUID }))).rejects.toMatchObject({
          name: 'ResourceNotFoundException',
          message: 'The resource you requested does not exist.',
          $metadata: { httpStatusCode: 404 },
        }),
      120_000,
    )
  })

  it('a filter that is no pattern is refused', async () => {
    const scenario = await Scenario.open()
    const asked = scenario.create({ FilterCriteria: { Filters: [{ Pattern: 'single-string' }] } })
    await expect(asked).rejects.toMatchObject({
      name: 'InvalidParameterValueException',
      Type: 'User',
      message: 'Invalid filter pattern definition.',
      $metadata: { httpStatusCode: 400 },
    })
  })

  it('a second mapping of the same stream and function is refused', async () => {
    const scenario = await Scenario.open()
    const { $metadata, ...created } = await scenario.create({ BatchSize: 100 })
    expect(created).toEqual(scenario.description({ BatchSize: 100 }))
    await expect(scenario.create({ BatchSize: 100 })).rejects.toMatchObject({
      name: 'ResourceConflictException',
      Type: 'User',
      message: `The event source arn (" ${scenario.streamArn} ") and function (" ${scenario.name} ") provided mapping already exists. Please update or delete the existing mapping with UUID ${created.UUID}`,
      $metadata: { httpStatusCode: 409 },
    })
  })

  const inserted = (id: string, more: object, SizeBytes: number) => ({
    Keys: { id: { S: id } },
    NewImage: { id: { S: id }, ...more },
    SizeBytes,
    StreamViewType: 'NEW_AND_OLD_IMAGES',
  })

  it.each<[string, object, Record<string, AttributeValue>[], [string, object][]]>([
    [
      'one of two event names',
      { eventName: ['INSERT', 'MODIFY'] },
      [{ id: { S: 'id_value' } }, { id: { S: 'id_value' }, id2: { S: 'id2_new_value' } }],
      [
        ['INSERT', inserted('id_value', {}, 20)],
        [
          'MODIFY',
          { ...inserted('id_value', { id2: { S: 'id2_new_value' } }, 46), OldImage: { id: { S: 'id_value' } } },
        ],
      ],
    ],
    [
      'an attribute of a type and value',
      { dynamodb: { NewImage: { presentKey: { S: ['presentValue'] } } } },
      [{ id: { S: 'id_value_1' }, presentKey: { S: 'presentValue' } }, { id: { S: 'id_value_2' } }],
      [['INSERT', inserted('id_value_1', { presentKey: { S: 'presentValue' } }, 46)]],
    ],
    [
      'an attribute that is no leaf not existing, whether it is there or not',
      { dynamodb: { NewImage: { presentKey: [{ exists: false }] } } },
      [{ id: { S: 'id_value_1' } }, { id: { S: 'id_value_2' }, presentKey: { S: 'presentValue' } }],
      [
        ['INSERT', inserted('id_value_1', {}, 24)],
        ['INSERT', inserted('id_value_2', { presentKey: { S: 'presentValue' } }, 46)],
      ],
    ],
    [
      'a prefix',
      { dynamodb: { NewImage: { prefix: { S: [{ prefix: 'us-1' }] } } } },
      [
        { id: { S: 'id_value_1' }, prefix: { S: 'us-1-other-suffix' } },
        { id: { S: 'id_value_1' }, prefix: { S: 'other-suffix' } },
      ],
      [['INSERT', inserted('id_value_1', { prefix: { S: 'us-1-other-suffix' } }, 47)]],
    ],
  ])('a filter for %s', async (_what, pattern, items, expected) => {
    const scenario = await Scenario.open({}, { key: 'id', view: 'NEW_AND_OLD_IMAGES' })
    const Filters = [{ Pattern: JSON.stringify(pattern) }]
    const { $metadata, ...created } = await scenario.create({ FilterCriteria: { Filters } })
    expect(created).toEqual(scenario.description({ FilterCriteria: { Filters } }))
    for (const item of items) await scenario.put(item)
    const events = expected.map(([name, change]) => scenario.event(name, change))
    expect(await scenario.eventsOf(expected.length)).toEqual(events)
    await scenario.passed()
    expect(scenario.events).toHaveLength(expected.length)
  })

  it('what a function throws at goes to a server (SNS there), after a retry', async () => {
    const scenario = await Scenario.open({ FAILS: 'yes' })
    const Destination = `http://127.0.0.1:${(posts.address() as AddressInfo).port}/failures`
    const DestinationConfig = { OnFailure: { Destination } }
    const { $metadata, ...created } = await scenario.create({ DestinationConfig })
    expect(created).toEqual(scenario.description({ DestinationConfig }))
    await scenario.put({ my_partition_key: { S: 'hello world' } })
    await scenario.passed()
    expect(posted.map(({ payload: _, ...document }) => document)).toEqual([scenario.document(2, 'Unhandled')])
  })

  it('of three records one is reported until it is given up: called five times, counted four times, sent to a stream (SQS there)', async () => {
    const scenario = await Scenario.open({ POISON: 'c' }, { key: 'id' })
    const DestinationConfig = { OnFailure: { Destination: `stream:${await streamNamed(scenario.name)}` } }
    for (const id of ['a', 'b', 'c']) await scenario.put({ id: { S: id } })
    const more = {
      BatchSize: 3,
      MaximumRetryAttempts: 3,
      FunctionResponseTypes: ['ReportBatchItemFailures' as const],
      DestinationConfig,
    }
    const { $metadata, ...created } = await scenario.create(more)
    expect(created).toEqual(scenario.description(more))
    expect(await documentsIn(scenario.name, 1)).toEqual([scenario.document(4, null)])
    expect(scenario.events.map(({ Records }) => Records.length)).toEqual([3, 1, 1, 1, 1])
  })

  it.each([
    ['null for the identifier', '{"batchItemFailures":[{"itemIdentifier":null}]}'],
    ['null under another name', '{"batchItemFailures":[{"foo":null}]}'],
  ])('a report with %s is a failure of the whole batch', async (_what, ANSWER) => {
    const scenario = await Scenario.open({ ANSWER })
    await scenario.create({
      MaximumRetryAttempts: 3,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      DestinationConfig: { OnFailure: { Destination: `stream:${await streamNamed(scenario.name)}` } },
    })
    await scenario.put(withBinary)
    expect(await documentsIn(scenario.name, 1)).toEqual([scenario.document(4, null)])
    expect(scenario.events).toEqual(Array.from({ length: 4 }, () => scenario.event('INSERT', binaryChange)))
    expect(new Set(scenario.events.map((event) => JSON.stringify(event))).size).toBe(1)
  })

  it.each([
    ['an empty list', '[]'],
    ['an empty object', '{}'],
    ['null for the failures', '{"batchItemFailures":null}'],
  ])('a report that is %s is a success', async (_what, ANSWER) => {
    const scenario = await Scenario.open({ ANSWER })
    await scenario.create({ FunctionResponseTypes: ['ReportBatchItemFailures'], MaximumRetryAttempts: 3 })
    await scenario.put(withBinary)
    expect(await scenario.eventsOf(1)).toEqual([scenario.event('INSERT', binaryChange)])
    await scenario.passed()
    expect(scenario.events).toHaveLength(1)
  })

  it('what a function throws at goes to a file (S3 there), with its event', async () => {
    const scenario = await Scenario.open({ FAILS: 'yes' })
    const DestinationConfig = { OnFailure: { Destination: `file:${scenario.name}.ndjson` } }
    const { $metadata, ...created } = await scenario.create({ DestinationConfig })
    expect(created).toEqual(scenario.description({ DestinationConfig }))
    await scenario.put({ my_partition_key: { S: 'hello world' } })
    await scenario.passed()
    const file = join(serving.daemon.dataDirectory, 'files', `${scenario.name}.ndjson`)
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      {
        ...scenario.document(2, 'Unhandled'),
        payload: scenario.event('INSERT', {
          Keys: { my_partition_key: { S: 'hello world' } },
          NewImage: { my_partition_key: { S: 'hello world' } },
          SizeBytes: 54,
          StreamViewType: 'NEW_IMAGE',
        }),
      },
    ])
  })
})
