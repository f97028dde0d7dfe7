import { expect, test } from 'vitest'
import { running } from './running.js'

/** An item of about 350 KB: the third takes a page past 1 MB, and ends it. */
const large = 'x'.repeat(350 * 1024)

test('a page that is full with the last item of a range goes on with the next range', async () => {
  const { put, ranged, run } = await running()
  for (const pk of ['a', 'b', 'c', 'd']) await put(ranged, { pk: { S: pk }, sk: { N: '1' }, x: { S: large } })
  const statement = `SELECT pk FROM "${ranged}" WHERE pk IN ['a', 'b', 'c', 'd']`
  const found: string[] = []
  let pages = 0
  for (let NextToken: string | undefined; pages === 0 || NextToken; pages++) {
    const { body } = await run(statement, NextToken ? { NextToken } : {})
    for (const { pk } of body.Items) found.push((pk as { S: string }).S)
    NextToken = body.NextToken
  }
  expect(found.sort()).toEqual(['a', 'b', 'c', 'd'])
  expect(pages).toBe(2)
})
