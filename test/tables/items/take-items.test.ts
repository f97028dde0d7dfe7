import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { type OpenTables, openTables } from '../open-tables.js'

type Numbers = Readonly<Record<string, number>>

async function write({ run }: OpenTables, TableName: string, items: Numbers): Promise<void> {
  const puts = Object.entries(items).map(([id, n]) => ({
    // The order of attributes makes no difference.
    PutRequest: { Item: n % 2 === 0 ? { pk: { S: id }, n: { N: `${n}` } } : { n: { N: `${n}` }, pk: { S: id } } },
  }))
  for (let at = 0; at < puts.length; at += 25)
    await run('BatchWriteItem', { RequestItems: { [TableName]: puts.slice(at, at + 25) } })
}

async function read({ run }: OpenTables, TableName: string): Promise<Numbers> {
  const { Items } = await run<{ Items: { pk: { S: string }; n: { N: string } }[] }>('Scan', { TableName })
  return Object.fromEntries(Items.map(({ pk, n }) => [pk.S, Number(n.N)]))
}

/** More than go in one commit. */
const keysMax = 400
const items = fc.dictionary(
  fc.integer({ min: 0, max: keysMax }).map((i) => `k${i}`),
  fc.integer({ min: 0, max: 3 }),
  { maxKeys: keysMax, size: 'max' },
)

test('a table that takes items has the items of the other, and its own where they are merged, however often it was cut off', async () => {
  const open = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  let number = 0
  await fc.assert(
    fc.asyncProperty(
      items,
      items,
      fc.boolean(),
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
      async (theirs, ours, isReplaced, cuts) => {
        const into = await open.table(`table${number}`)
        const from = `table${number++}.shadow`
        await open.tables.createLike(from, into)
        await write(open, from, theirs)
        await write(open, into, ours)
        const take = async (commitsMax: number): Promise<boolean> => {
          let commits = 0
          const onCommitted = () => commits++
          return open.tables.take(from, into, { isReplaced, isWanted: () => commits < commitsMax, onCommitted })
        }
        for (const commits of cuts) await take(commits)
        expect(await take(Number.POSITIVE_INFINITY)).toBe(true)
        expect(await read(open, into)).toEqual(isReplaced ? theirs : { ...ours, ...theirs })
        expect(await read(open, from)).toEqual(theirs)
        // Once more there is nothing to do.
        let again = 0
        await open.tables.take(from, into, { isReplaced, isWanted: () => true, onCommitted: () => again++ })
        expect(again).toBe(0)
        await open.tables.drop(from)
        await open.tables.drop(from)
        expect(open.tables.schema(from)).toBeUndefined()
      },
    ),
    { numRuns: process.env.MILLRACE_LONG ? 500 : 15 },
  )
  await open.close()
})

test('items are taken only of a table with the same key', async () => {
  const open = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  await open.table('one')
  await open.run('CreateTable', {
    TableName: 'other',
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  const options = { isReplaced: true, isWanted: () => true, onCommitted: () => {} }
  await expect(open.tables.take('other', 'one', options)).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(open.tables.take('none', 'one', options)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await open.close()
})
