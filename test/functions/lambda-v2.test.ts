/** The Lambda API as version 2 of the AWS SDK speaks it, which the handlers of the guide were written with. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lambda } from 'aws-sdk'
import { expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { serve } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

const module = `
  exports.handler = (event, context, callback) => { console.log(JSON.stringify(event)); callback(null, 'done') }
  exports.calls = (event, context, callback) => {
    const AWS = require('aws-sdk')
    new AWS.Lambda().invoke({ FunctionName: 'writes', Payload: JSON.stringify(event) }, (error, answer) => {
      callback(error, answer && { said: JSON.parse(answer.Payload) })
    })
  }
`

async function failure(asked: Promise<unknown>) {
  const thrown = await asked.then(
    () => ({}),
    (error: unknown) => error,
  )
  const { statusCode, code, message } = thrown as { statusCode: number; code: string; message: string }
  return { statusCode, code, message }
}

test('calls, functions and mappings, and the names and texts of errors', async () => {
  ensureBuilt()
  const path = join(temporaryFolder(), 'f.js')
  writeFileSync(path, module)
  const triggers = [{ table: 'orders' }]
  const serving = await serve({ functions: { writes: { path, timeoutMs: 60_000, triggers } } })
  await serving.daemon.rooms.functions.create('calls', { path, handler: 'calls', timeoutMs: 60_000 })
  const { default: AWS } = await import('aws-sdk')
  const options = { region: 'us-east-1', credentials: new AWS.Credentials('AKIDEXAMPLE', 'anything'), maxRetries: 0 }
  const client: Lambda = new AWS.Lambda({ ...options, endpoint: serving.url })
  const tables = new AWS.DynamoDB({ ...options, endpoint: serving.url })
  const FunctionName = 'writes'

  const called = await client.invoke({ FunctionName, Payload: '{"Records":[]}', LogType: 'Tail' }).promise()
  expect(called).toMatchObject({ StatusCode: 200, ExecutedVersion: '$LATEST' })
  expect(String(called.Payload)).toBe('"done"')
  expect(Buffer.from(called.LogResult ?? '', 'base64').toString()).toContain('{"Records":[]}')
  const inside = await client.invoke({ FunctionName: 'calls', Payload: '{"from":"calls"}' }).promise()
  expect(String(inside.Payload)).toBe('{"said":"done"}')
  expect(await client.invokeAsync({ FunctionName, InvokeArgs: '{"async":1}' }).promise()).toEqual({ Status: 202 })
  await expect.poll(() => serving.daemon.functions.logs.of('writes').newest(10_000)).toContain('{"async":1}')
  expect(await client.invoke({ FunctionName, InvocationType: 'DryRun' }).promise()).toMatchObject({ StatusCode: 204 })
  const { Functions } = await client.listFunctions({ MaxItems: 1 }).promise()
  expect(Functions).toMatchObject([{ FunctionName: 'calls' }])
  await client.waitFor('functionActiveV2', { FunctionName }).promise()

  const created = await tables
    .createTable({
      TableName: 'orders',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    })
    .promise()
  const EventSourceArn = created.TableDescription?.LatestStreamArn as string
  const list = () => client.listEventSourceMappings({ FunctionName, EventSourceArn }).promise()
  await expect.poll(async () => (await list()).EventSourceMappings).toMatchObject([{ State: 'Enabled' }])
  const kept = (await list()).EventSourceMappings?.[0]?.UUID as string
  const message = `The mapping ${kept} follows from the configuration: change its trigger there, and start the daemon again.`
  expect(await failure(client.deleteEventSourceMapping({ UUID: kept }).promise())).toEqual({
    statusCode: 400,
    code: 'ResourceInUseException',
    message,
  })
  // The model of this one has a large first letter.
  const answer = await fetch(`${serving.url}/2015-03-31/event-source-mappings/${kept}`, { method: 'DELETE' })
  expect(await answer.json()).toEqual({ Type: 'User', Message: message })
  const wanted = {
    EventSourceArn,
    FunctionName: 'calls',
    StartingPosition: 'LATEST',
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 1,
    ParallelizationFactor: 2,
    BisectBatchOnFunctionError: true,
    MaximumRetryAttempts: 3,
    MaximumRecordAgeInSeconds: 3600,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    FilterCriteria: { Filters: [{ Pattern: '{"eventName":["INSERT"]}' }] },
    DestinationConfig: { OnFailure: { Destination: 'file:failed.ndjson' } },
    TumblingWindowInSeconds: 0,
  }
  const { UUID = '', ...made } = await client.createEventSourceMapping(wanted).promise()
  const { FunctionName: _, ...shown } = wanted
  expect(made).toMatchObject({ ...shown, State: 'Creating', LastModified: expect.any(Date) })
  const updated = await client.updateEventSourceMapping({ UUID, BatchSize: 7, FilterCriteria: {} }).promise()
  expect([updated.BatchSize, updated.FilterCriteria]).toEqual([7, undefined])
  expect(await failure(client.createEventSourceMapping(wanted).promise())).toMatchObject({
    statusCode: 409,
    code: 'ResourceConflictException',
  })
  expect((await client.deleteEventSourceMapping({ UUID }).promise()).State).toBe('Deleting')
  await expect
    .poll(() => failure(client.getEventSourceMapping({ UUID }).promise()))
    .toEqual({
      statusCode: 404,
      code: 'ResourceNotFoundException',
      message: 'The resource you requested does not exist.',
    })
  expect(await failure(client.listEventSourceMappings({ FunctionName: 'a name' }).promise())).toMatchObject({
    statusCode: 400,
    code: 'ValidationException',
    message: expect.stringContaining("Value 'a name' at 'functionName'"),
  })
  expect(await failure(client.listEventSourceMappings({ Marker: 'nonsense' }).promise())).toMatchObject({
    statusCode: 400,
    code: 'InvalidParameterValueException',
  })
  const queue = { ...wanted, EventSourceArn: 'arn:aws:sqs:us-east-1:123456789012:queue' }
  expect(await failure(client.createEventSourceMapping(queue).promise())).toMatchObject({
    code: 'InvalidParameterValueException',
    message: expect.stringMatching(/^Unrecognized event source\. .* is a pipeline\.$/),
  })
})
