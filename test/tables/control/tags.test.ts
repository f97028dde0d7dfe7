import { expect, test } from 'vitest'
import { tagsMax } from '../../../src/tables/control/tags.js'
import { asking } from '../asking.js'

const arnOf = (name: string, region = 'us-east-1', account = '123456789012') =>
  `arn:aws:dynamodb:${region}:${account}:table/${name}`

test('tags are added, replaced, listed in pages and taken off, with an empty body as on AWS', async () => {
  const { ask, table, url } = await asking()
  const ResourceArn = arnOf(await table())
  expect((await ask('ListTagsOfResource', { ResourceArn })).body).toEqual({ Tags: [] })
  const tagged = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.TagResource' },
    body: JSON.stringify({ ResourceArn, Tags: [{ Key: 'k00', Value: '' }] }),
  })
  expect([tagged.status, await tagged.text()]).toEqual([200, ''])
  const Tags = Array.from({ length: 25 }, (_, i) => ({ Key: `k${String(i).padStart(2, '0')}`, Value: `v${i}` }))
  await ask('TagResource', { ResourceArn, Tags })
  const listed: object[] = []
  const sizes: number[] = []
  let NextToken: string | undefined
  do {
    const page = await ask<{ Tags: object[]; NextToken?: string }>('ListTagsOfResource', { ResourceArn, NextToken })
    listed.push(...page.body.Tags)
    sizes.push(page.body.Tags.length)
    NextToken = page.body.NextToken
  } while (NextToken !== undefined)
  expect(listed).toEqual(Tags)
  expect(sizes).toEqual([10, 10, 5])
  const untagged = await ask('UntagResource', { ResourceArn, TagKeys: Tags.slice(1).map(({ Key }) => Key) })
  expect(untagged.status).toBe(200)
  expect((await ask('ListTagsOfResource', { ResourceArn })).body).toEqual({ Tags: [Tags[0]] })
})

test('a table is made with tags, and tags beside each other all stay', async () => {
  const { ask } = await asking()
  const TableName = 'tagged'
  await ask('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    Tags: [{ Key: 'team', Value: 'rivers' }],
  })
  const ResourceArn = arnOf(TableName)
  await Promise.all(
    Array.from({ length: 9 }, (_, i) => ask('TagResource', { ResourceArn, Tags: [{ Key: `t${i}`, Value: 'x' }] })),
  )
  const { body } = await ask<{ Tags: { Key: string }[] }>('ListTagsOfResource', { ResourceArn })
  expect(body.Tags.map(({ Key }) => Key)).toEqual([...Array.from({ length: 9 }, (_, i) => `t${i}`), 'team'])
})

test('what is wrong with a tag or with an ARN is said as AWS says it', async () => {
  const { ask, table } = await asking()
  const name = await table()
  const ResourceArn = arnOf(name)
  const tag = async (Tags: unknown, arn: unknown = ResourceArn) => {
    const { error, message } = await ask('TagResource', { ResourceArn: arn, Tags })
    return [error, message]
  }
  const wrong: [unknown, string][] = [
    [
      undefined,
      "1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null",
    ],
    [[], 'Atleast one Tag needs to be provided as Input.'],
    [[{}], 'The Tag Key provided is invalid, Key: null'],
    [[{ Key: '', Value: 'x' }], 'The Tag Key provided is invalid, Key: '],
    [[{ Key: 'a!', Value: 'x' }], 'The Tag Key provided is invalid, Key: a!'],
    [[{ Key: 'k'.repeat(129), Value: 'x' }], `The Tag Key provided is invalid, Key: ${'k'.repeat(129)}`],
    [[{ Key: 'a' }], 'The Tag Value provided is invalid, Value: null'],
    [[{ Key: 'a', Value: 'v'.repeat(257) }], `The Tag Value provided is invalid, Value: ${'v'.repeat(257)}`],
    [[{ Key: 'aws:a', Value: 'x' }], 'Tag Key cannot be prefixed with aws:, Key: aws:a'],
    [
      [
        { Key: 'a', Value: 'x' },
        { Key: 'a', Value: 'y' },
      ],
      'Duplicate Tag Keys provided as input: Duplicate Tag Key found a',
    ],
    [
      Array.from({ length: tagsMax + 1 }, (_, i) => ({ Key: `k${i}`, Value: 'x' })),
      'Number of Tags exceed the current limit for the provided ResourceArn',
    ],
  ]
  for (const [tags, message] of wrong) expect(await tag(tags)).toEqual(['ValidationException', message])
  expect(await tag([{ Key: 'ключ'.repeat(32), Value: 'вода'.repeat(64) }])).toEqual([undefined, undefined])
  expect(await tag(Array.from({ length: tagsMax }, (_, i) => ({ Key: `k${i}`, Value: 'x' })))).toEqual([
    'ValidationException',
    'Number of Tags exceed the current limit for the provided ResourceArn',
  ])

  const one = [{ Key: 'a', Value: 'b' }]
  const invalid = 'One or more parameter values were invalid: '
  expect(await tag(one, null)).toEqual(['ValidationException', 'Invalid TableArn'])
  expect(await tag(one, name)).toEqual(['ValidationException', `${invalid}ARNs must start with 'arn:': ${name}`])
  expect(await tag(one, `${ResourceArn}/index/by`)).toEqual([
    'ValidationException',
    `${invalid}Invalid resource arn provided, only table or stream is accepted. Provided resource arn: ${ResourceArn}/index/by`,
  ])
  expect(await tag(one, `${ResourceArn}x`)).toEqual([
    'ResourceNotFoundException',
    `Requested resource not found: ResourceArn: ${ResourceArn}x not found`,
  ])
  const elsewhere = arnOf(name, 'eu-west-1')
  expect(await tag(one, elsewhere)).toEqual([
    'ValidationException',
    `Invalid TableArn: Invalid ResourceArn provided as input ${elsewhere}`,
  ])
  expect(await tag(one, arnOf(name, 'us-east-1', '111111111111'))).toEqual([
    'AccessDeniedException',
    'Access is denied',
  ])
  const none = await ask('UntagResource', { ResourceArn, TagKeys: [] })
  expect([none.error, none.message]).toEqual([
    'ValidationException',
    'Atleast one Tag Key needs to be provided as Input.',
  ])
})
