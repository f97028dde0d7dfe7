import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Family } from '../../../src/commit/index.js'
import { n, openExpiry } from './open-expiry.js'

const described = (status: string, AttributeName?: string) => ({
  TimeToLiveDescription: { TimeToLiveStatus: status, ...(AttributeName ? { AttributeName } : {}) },
})

test('items that were there before are covered, switching off takes the rows away, and another attribute may follow', async () => {
  const { clock, tables, create, ttl, put, run, keys, expiryTimes } = await openExpiry()
  await create('old')
  const now = Math.floor(clock.wall / 1000)
  for (let i = 0; i < 600; i++) await put('old', `i${i}`, { a: n(now + 10 + i), b: n(now + 5000) })
  expect(await run('DescribeTimeToLive', { TableName: 'old' })).toEqual(described('DISABLED'))
  expect(expiryTimes()).toEqual([])
  expect(await ttl('old', 'a')).toEqual({ TimeToLiveSpecification: { AttributeName: 'a', Enabled: true } })
  expect(await run('DescribeTimeToLive', { TableName: 'old' })).toEqual(described('ENABLED', 'a'))
  expect(expiryTimes()).toEqual(Array.from({ length: 600 }, (_, i) => now + 10 + i))
  clock.advance(110_001)
  await tables.sweeper.run()
  expect(await keys('old')).toHaveLength(499)
  await ttl('old', 'a', false)
  expect(await run('DescribeTimeToLive', { TableName: 'old' })).toEqual(described('DISABLED'))
  expect(expiryTimes()).toEqual([])
  clock.advance(100_000)
  await tables.sweeper.run()
  expect(await keys('old')).toHaveLength(499)
  // What is left to remove is removed before rows of the other attribute are made.
  await Promise.all([ttl('old', 'b'), put('old', 'new', { b: n(now + 6000) })])
  expect(expiryTimes()).toEqual([...Array.from({ length: 499 }, () => now + 5000), now + 6000])
})

test('what is due when its table is given a time to live goes with the next look', async () => {
  const { clock, tables, create, ttl, put, keys } = await openExpiry()
  await create('due')
  const now = Math.floor(clock.wall / 1000)
  await put('due', 'a', { one: n(now - 60), two: n(now + 60) })
  await put('due', 'b', { one: n(now + 60), two: n(now - 60) })
  await ttl('due', 'one')
  await tables.sweeper.run()
  expect(await keys('due')).toEqual(['b'])
  await ttl('due', 'one', false)
  await ttl('due', 'two')
  await tables.sweeper.run()
  expect(await keys('due')).toEqual([])
})

test('a backfill that was cut off goes on, and the status says so meanwhile', async () => {
  const first = await openExpiry()
  await first.create('cut')
  const now = Math.floor(first.clock.wall / 1000)
  for (let i = 0; i < 700; i++) await first.put('cut', `i${i}`, { until: n(now + 1000) })
  let writes = 0
  let stop = () => {}
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  first.storage.beforeWrite = () => {
    writes++
    if (writes < 3) return
    stop()
    return new Promise(() => {})
  }
  void first.ttl('cut', 'until').catch(() => {})
  await stopped
  expect(await first.run('DescribeTimeToLive', { TableName: 'cut' })).toEqual(described('ENABLING', 'until'))
  const left = first.expiryTimes().length
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(700)
  first.storage.beforeWrite = () => {}
  const { storage, folder, clock } = first
  const second = await openExpiry({ storage, folder, clock })
  for (let i = 0; i < 100 && second.expiryTimes().length < 700; i++) await second.commit.settled()
  await second.close()
  expect(second.expiryTimes()).toHaveLength(700)
})

test('what may not be changed is refused in the words of AWS', async () => {
  const { clock, create, ttl, run, refusal } = await openExpiry({ ttl: { changeMs: 3_600_000 } })
  await create('rules')
  const update = (specification: unknown, TableName = 'rules') =>
    refusal('UpdateTimeToLive', { TableName, TimeToLiveSpecification: specification })
  const constraint = (member: string, value: string, rule: string) =>
    `Value ${value} at 'timeToLiveSpecification${member}' failed to satisfy constraint: ${rule}`
  const one = '1 validation error detected: '
  const notNull = 'Member must not be null'
  const invalid = (message: string) => ['ValidationException', message]
  expect(await update(undefined)).toEqual(invalid(one + constraint('', 'null', notNull)))
  expect(await update({})).toEqual(
    invalid(
      `2 validation errors detected: ${constraint('.attributeName', 'null', notNull)}; ${constraint('.enabled', 'null', notNull)}`,
    ),
  )
  expect(await update({ AttributeName: '', Enabled: true })).toEqual(
    invalid(one + constraint('.attributeName', "''", 'Member must have length greater than or equal to 1')),
  )
  const long = 'x'.repeat(256)
  expect(await update({ AttributeName: long, Enabled: true })).toEqual(
    invalid(one + constraint('.attributeName', `'${long}'`, 'Member must have length less than or equal to 255')),
  )
  expect((await update({ AttributeName: 'a', Enabled: 'yes' }))[0]).toBe('SerializationException')
  expect(await update({ AttributeName: 'a', Enabled: true }, 'nowhere')).toEqual([
    'ResourceNotFoundException',
    'Requested resource not found: Table: nowhere not found',
  ])
  expect(await update({ AttributeName: 'a', Enabled: false })).toEqual(invalid('TimeToLive is already disabled'))
  await ttl('rules', 'a')
  expect(await update({ AttributeName: 'a', Enabled: true })).toEqual(invalid('TimeToLive is already enabled'))
  const different = invalid('TimeToLive is active on a different AttributeName: current AttributeName is a')
  expect(await update({ AttributeName: 'b', Enabled: true })).toEqual(different)
  expect(await update({ AttributeName: 'b', Enabled: false })).toEqual(different)
  const off = { AttributeName: 'a', Enabled: false }
  expect(await update(off)).toEqual(invalid('Time to live has been modified multiple times within a fixed interval'))
  clock.advance(3_600_000)
  expect(await run('UpdateTimeToLive', { TableName: 'rules', TimeToLiveSpecification: off })).toEqual({
    TimeToLiveSpecification: off,
  })
})

test('the time may stand in a key, and one of another type never comes', async () => {
  const { clock, tables, run, ttl, keys, put, create } = await openExpiry()
  await create('typed')
  await ttl('typed', 'pk')
  await put('typed', String(Math.floor(clock.wall / 1000) - 60))
  await run('CreateTable', {
    TableName: 'keyed',
    AttributeDefinitions: [{ AttributeName: 'at', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'at', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  await ttl('keyed', 'at')
  await run('PutItem', { TableName: 'keyed', Item: { at: n(Math.floor(clock.wall / 1000) - 60) } })
  await tables.sweeper.run()
  expect(await keys('typed')).toHaveLength(1)
  expect(await run('Scan', { TableName: 'keyed' })).toMatchObject({ Count: 0 })
})

test('whatever is done to a table, its expiry rows are those of its items', async () => {
  const pk = fc.integer({ min: 0, max: 5 }).map((i) => `i${i}`)
  const seconds = fc.integer({ min: 1, max: 40 })
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), pk, seconds }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('add' as const), pk, seconds }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('untimed' as const), pk, seconds }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), pk, seconds }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), pk, seconds }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('switch' as const), pk, seconds }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), pk, seconds }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 25 }), async (actions) => {
      let opened = await openExpiry()
      await opened.create('model', { view: 'KEYS_ONLY' })
      let isOn = true
      await opened.ttl('model', 'until')
      const start = Math.floor(opened.clock.wall / 1000)
      const model = new Map<string, number | undefined>()
      for (const { kind, pk: name, seconds: value } of actions) {
        const Key = { pk: { S: name } }
        if (kind === 'put') {
          await opened.put('model', name, { until: n(start + value) })
          model.set(name, start + value)
        } else if (kind === 'untimed') {
          await opened.put('model', name)
          model.set(name, undefined)
        } else if (kind === 'add') {
          await opened.run('UpdateItem', {
            TableName: 'model',
            Key,
            UpdateExpression: 'ADD #u :d',
            ExpressionAttributeNames: { '#u': 'until' },
            ExpressionAttributeValues: { ':d': n(value) },
          })
          model.set(name, (model.get(name) ?? 0) + value)
        } else if (kind === 'delete') {
          await opened.run('DeleteItem', { TableName: 'model', Key })
          model.delete(name)
        } else if (kind === 'wait') {
          opened.clock.advance(value * 1000 + 1)
          await opened.tables.sweeper.run()
          // A sum that began at nothing is more than five years ago.
          for (const [each, until] of isOn ? [...model] : [])
            if (until !== undefined && until >= start && until * 1000 < opened.clock.wall) model.delete(each)
        } else if (kind === 'switch') {
          isOn = !isOn
          await opened.ttl('model', 'until', isOn)
        } else {
          await opened.close()
          const { storage, folder, clock } = opened
          opened = await openExpiry({ storage, folder, clock })
        }
        expect(await opened.keys('model')).toEqual([...model.keys()].sort())
        const times = [...model.values()].filter((until) => until !== undefined).sort((a, b) => a - b)
        expect(opened.expiryTimes()).toEqual(isOn ? times : [])
      }
      await opened.close()
      expect([...opened.storage.rows.keys()].some((key) => key.charCodeAt(0) === Family.item)).toBe(model.size > 0)
    }),
    { numRuns: 40 },
  )
})
