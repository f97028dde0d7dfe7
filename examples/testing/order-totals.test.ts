import assert from 'node:assert/strict'
import { testPipeline } from 'millrace/testing'
import { describe, it } from 'vitest'
import orderTotals, { type Order, orders } from './order-totals.js'

const tables = { customers: { hash: 'customer' } }

describe('order totals', () => {
  it('add up per customer', async () => {
    const test = await testPipeline(orderTotals, { tables })
    await test.push(
      orders,
      { key: '1', value: { customer: 'ann', amount: 5 } },
      { key: '2', value: { customer: 'bob', amount: 7 } },
      { key: '3', value: { customer: 'ann', amount: 2 } },
    )
    assert.deepEqual(
      new Set(test.items('customers')),
      new Set([
        { customer: 'ann', spent: 7 },
        { customer: 'bob', spent: 7 },
      ]),
    )
    assert.equal(test.state('spent', 'ann'), 7)
  })

  it('are right whatever fails on the way', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const test = await testPipeline(orderTotals, { tables, seed, faults: { crash: 0.05, split: 0.02 } })
      for (let i = 0; i < 30; i++)
        await test.push(orders, { key: String(i), value: { customer: `c${i % 4}`, amount: i } })
      test.expectSameAs((pushed) => {
        const spent = new Map<string, number>()
        for (const { input } of pushed) {
          const { customer, amount } = (input as { value: Order }).value
          if (amount > 0) spent.set(customer, (spent.get(customer) ?? 0) + amount)
        }
        return [...spent].map(([customer, total]) => ({ customer, spent: total }))
      })
    }
  })
})
