/** The Lambda API's part for event source mappings: defaults, status codes, names and texts of errors, as AWS answers them. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Rooms } from '../../../src/daemon/index.js'
import type { LambdaAnswer } from '../../../src/server/lambda/call.js'
import { operationOf } from '../../../src/server/lambda/operations.js'
import { account, World } from './world.js'

let world: World
afterEach(() => world.close())

async function open(): Promise<string> {
  world = await World.open()
  world.invoker.handlers.set('count', () => null)
  world.invoker.handlers.set('other', () => null)
  return world.table()
}

async function call(method: string, rest = '', body?: unknown): Promise<LambdaAnswer> {
  const [path = '', query] = rest.split('?')
  const { operation, names } = operationOf(method, `/2015-03-31/event-source-mappings${path}`)
  return operation.run({
    rooms: { mappings: world.mappings } as Rooms,
    home: { region: 'here-1', accountId: account },
    method,
    path,
    names,
    query: new URLSearchParams(query),
    headers: {},
    body: body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body)),
  })
}

const asked = (EventSourceArn: string, more: object = {}) => ({
  EventSourceArn,
  FunctionName: 'count',
  StartingPosition: 'TRIM_HORIZON',
  ...more,
})

describe('CreateEventSourceMapping', () => {
  it('answers with everything that there is, by default as on AWS', async () => {
    const arn = await open()
    const { status, body } = await call('POST', '/', asked(arn))
    expect(status).toBe(202)
    const { UUID } = body as { UUID: string }
    expect(UUID).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(body).toEqual({
      UUID,
      BatchSize: 100,
      BisectBatchOnFunctionError: false,
      DestinationConfig: { OnFailure: {} },
      EventSourceArn: arn,
      EventSourceMappingArn: `arn:aws:lambda:here-1:123456789012:event-source-mapping:${UUID}`,
      FunctionArn: 'arn:aws:lambda:here-1:123456789012:function:count',
      FunctionResponseTypes: [],
      LastModified: world.clock.now() / 1000,
      LastProcessingResult: 'No records processed',
      MaximumBatchingWindowInSeconds: 0,
      MaximumRecordAgeInSeconds: -1,
      MaximumRetryAttempts: -1,
      ParallelizationFactor: 1,
      StartingPosition: 'TRIM_HORIZON',
      State: 'Creating',
      StateTransitionReason: 'User action',
      TumblingWindowInSeconds: 0,
    })
    expect(await call('GET', `/${UUID}`)).toMatchObject({ status: 200, body: { UUID, State: 'Enabled' } })
  })

  it.each<[string, object, string, string, number]>([
    ['no source', { EventSourceArn: undefined }, 'InvalidParameterValueException', 'Unrecognized event source.', 400],
    [
      'a queue',
      { EventSourceArn: 'arn:aws:sqs:here-1:123456789012:queue' },
      'InvalidParameterValueException',
      "Unrecognized event source. arn:aws:sqs:here-1:123456789012:queue is not the ARN of a table's stream, and nothing else calls functions: what reads a stream of Millrace or a topic of Kafka is a pipeline.",
      400,
    ],
    [
      'a plain stream',
      { EventSourceArn: 'stream:clicks' },
      'InvalidParameterValueException',
      "Unrecognized event source. stream:clicks is not the ARN of a table's stream, and nothing else calls functions: what reads a stream of Millrace or a topic of Kafka is a pipeline.",
      400,
    ],
    [
      'a pattern that is too long',
      { FilterCriteria: { Filters: [{ Pattern: '{}'.padEnd(4097) }] } },
      'ValidationException',
      `1 validation error detected: Value '${'{}'.padEnd(4097)}' at 'filterCriteria.filters.1.member.pattern' failed to satisfy constraint: Member must have length less than or equal to 4096`,
      400,
    ],
    [
      'a function that is not there',
      { FunctionName: 'nobody' },
      'InvalidParameterValueException',
      'Function does not exist',
      400,
    ],
    [
      'a function of another region',
      { FunctionName: 'arn:aws:lambda:there-1:123456789012:function:count' },
      'InvalidParameterValueException',
      'Function does not exist',
      400,
    ],
    [
      'no starting position',
      { StartingPosition: undefined },
      'InvalidParameterValueException',
      "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
      400,
    ],
    [
      'an unknown starting position',
      { StartingPosition: 'FIRST' },
      'ValidationException',
      "1 validation error detected: Value 'FIRST' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [TRIM_HORIZON, LATEST, AT_TIMESTAMP]",
      400,
    ],
    [
      'a batch of none',
      { BatchSize: 0 },
      'ValidationException',
      "1 validation error detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1",
      400,
    ],
    [
      'two bounds that are passed',
      { BatchSize: 10_001, ParallelizationFactor: 11 },
      'ValidationException',
      "2 validation errors detected: Value '10001' at 'batchSize' failed to satisfy constraint: Member must have value less than or equal to 10000; Value '11' at 'parallelizationFactor' failed to satisfy constraint: Member must have value less than or equal to 10",
      400,
    ],
    [
      'text for a filter pattern',
      { FilterCriteria: { Filters: [{ Pattern: 'single-string' }] } },
      'InvalidParameterValueException',
      'Invalid filter pattern definition.',
      400,
    ],
    [
      'a filter pattern that is no text',
      { FilterCriteria: { Filters: [{ Pattern: { eventName: ['INSERT'] } }] } },
      'InvalidParameterValueException',
      'Invalid filter pattern definition.',
      400,
    ],
    [
      'a destination of successes',
      { DestinationConfig: { OnSuccess: { Destination: 'stream:x' } } },
      'InvalidParameterValueException',
      'Unsupported DestinationConfig parameter for given event source mapping type.',
      400,
    ],
    [
      'a destination that is not there',
      { DestinationConfig: { OnFailure: { Destination: 'stream:nowhere' } } },
      'InvalidParameterValueException',
      'There is no stream named nowhere.',
      400,
    ],
    [
      'a destination of another kind',
      { DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:here-1:123456789012:queue' } } },
      'InvalidParameterValueException',
      'The destination arn:aws:sqs:here-1:123456789012:queue is not supported: there are stream:NAME, table:NAME, kafka:CLUSTER/TOPIC, file:PATH and http(s) URLs.',
      400,
    ],
  ])('refuses %s', async (_what, more, type, message, status) => {
    const arn = await open()
    await expect(call('POST', '', asked(arn, more))).rejects.toMatchObject({ type, message, status })
    expect(world.mappings.all()).toEqual([])
  })

  it.each([
    { MaximumRecordAgeInSeconds: 59 },
    { FunctionResponseTypes: ['Other'] },
    { Topics: ['x'] },
    { BatchSize: 'many' },
  ])('refuses %j', async (more) => {
    const arn = await open()
    await expect(call('POST', '', asked(arn, more))).rejects.toMatchObject({ status: 400 })
  })

  it('knows neither time as a position of a table nor a stream that is not there', async () => {
    const arn = await open()
    await expect(call('POST', '', asked(arn, { StartingPosition: 'AT_TIMESTAMP' }))).rejects.toThrow(
      `Unsupported starting position for arn type: ${arn}`,
    )
    const other = arn.replace('todo', 'other')
    await expect(call('POST', '', asked(other))).rejects.toThrow(`Stream not found: ${other}`)
  })

  it('refuses a second mapping of a stream to a function, however that is named', async () => {
    const arn = await open()
    const { UUID } = (await call('POST', '', asked(arn))).body as { UUID: string }
    for (const FunctionName of [
      'count',
      '123456789012:function:count',
      'arn:aws:lambda:here-1:123456789012:function:count',
    ])
      await expect(call('POST', '', asked(arn, { FunctionName }))).rejects.toMatchObject({
        type: 'ResourceConflictException',
        status: 409,
        message: `The event source arn (" ${arn} ") and function (" count ") provided mapping already exists. Please update or delete the existing mapping with UUID ${UUID}`,
      })
    await call('POST', '', asked(arn, { FunctionName: 'other' }))
    // Two at one time are one too many.
    await call('DELETE', `/${UUID}`)
    const both = await Promise.allSettled([call('POST', '', asked(arn)), call('POST', '', asked(arn))])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  it('makes one that is disabled, and calls nothing', async () => {
    const arn = await open()
    const { UUID } = (await call('POST', '', asked(arn, { Enabled: false }))).body as { UUID: string }
    await world.put('a')
    await world.pass(1000)
    expect(world.calls).toEqual([])
    expect((await call('GET', `/${UUID}`)).body).toMatchObject({ State: 'Disabled' })
  })
})

describe('the other operations', () => {
  it('list by function and source, page by page', async () => {
    const arn = await open()
    const second = await world.table('second')
    for (const [source, FunctionName] of [
      [arn, 'count'],
      [second, 'count'],
      [arn, 'other'],
    ] as const) {
      await call('POST', '', asked(source, { FunctionName }))
      await world.pass(1)
    }
    const list = async (query: string) => {
      const { EventSourceMappings, NextMarker } = (await call('GET', `/?${query}`)).body as {
        EventSourceMappings: { EventSourceArn: string; FunctionArn: string }[]
        NextMarker?: string
      }
      const names = EventSourceMappings.map(({ EventSourceArn, FunctionArn }) => [
        EventSourceArn.includes('second') ? 'second' : 'todo',
        FunctionArn.split(':').pop(),
      ])
      return { names, NextMarker }
    }
    const all = [
      ['todo', 'count'],
      ['second', 'count'],
      ['todo', 'other'],
    ]
    expect(await list('')).toEqual({ names: all, NextMarker: undefined })
    expect((await list('FunctionName=other')).names).toEqual([all[2]])
    expect((await list(`EventSourceArn=${encodeURIComponent(arn)}`)).names).toEqual([all[0], all[2]])
    const page = await list('MaxItems=2')
    expect(page.names).toEqual(all.slice(0, 2))
    expect(await list(`MaxItems=2&Marker=${page.NextMarker}`)).toEqual({ names: all.slice(2), NextMarker: undefined })
    await expect(list('MaxItems=0')).rejects.toMatchObject({ type: 'ValidationException' })
  })

  it('change what is named, and nothing else', async () => {
    const arn = await open()
    const pattern = '{"eventName":["INSERT"]}'
    const { UUID } = (
      await call('POST', '', asked(arn, { BatchSize: 7, FilterCriteria: { Filters: [{ Pattern: pattern }] } }))
    ).body as { UUID: string }
    await world.pass(5000)
    const changed = await call('PUT', `/${UUID}`, { MaximumRetryAttempts: 2, FunctionName: 'other' })
    expect(changed).toMatchObject({ status: 202, body: { State: 'Updating', BatchSize: 7, MaximumRetryAttempts: 2 } })
    await world.settle()
    expect((await call('GET', `/${UUID}`)).body).toMatchObject({
      State: 'Enabled',
      FunctionArn: 'arn:aws:lambda:here-1:123456789012:function:other',
      FilterCriteria: { Filters: [{ Pattern: pattern }] },
      LastModified: world.clock.now() / 1000,
    })
    await call('PUT', `/${UUID}`, { FilterCriteria: {} })
    await world.settle()
    expect((await call('GET', `/${UUID}`)).body).not.toHaveProperty('FilterCriteria')
    await expect(call('PUT', `/${UUID}`, { ParallelizationFactor: 0 })).rejects.toMatchObject({ status: 400 })
  })

  it('know nothing of a mapping that is gone', async () => {
    const arn = await open()
    const { UUID } = (await call('POST', '', asked(arn))).body as { UUID: string }
    expect(await call('DELETE', `/${UUID}`)).toMatchObject({ status: 202, body: { UUID, State: 'Deleting' } })
    for (const method of ['GET', 'PUT', 'DELETE'])
      await expect(call(method, `/${UUID}`, method === 'PUT' ? {} : undefined)).rejects.toMatchObject({
        type: 'ResourceNotFoundException',
        status: 404,
        message: 'The resource you requested does not exist.',
      })
  })
})
