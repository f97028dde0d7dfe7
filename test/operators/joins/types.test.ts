import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  type Change,
  type KeyedFlow,
  type LateRow,
  pipeline,
  type StreamRecord,
  stream,
  table,
} from '../../../src/index.js'

interface Order {
  readonly id: string
  readonly amount: number
}
interface Payment {
  readonly order: string
  readonly paid: number
}
interface Customer {
  readonly name: string
}

const orders = () =>
  pipeline('p')
    .from(stream<Order>('orders'))
    .map((record) => record.value)
    .keyBy((order) => order.id)
const payments = () =>
  pipeline('p')
    .from(stream<Payment>('payments'))
    .map((record) => record.value)
    .keyBy((payment) => payment.order)
const customers = () =>
  pipeline('p')
    .from(table<Customer>('customers'))
    .keyBy((change) => String(change.keys.id))

describe('the types of joins', () => {
  it('say which side may be missing', () => {
    const inner = orders().join('a', payments(), { within: '1h' }, (order, payment, key) => {
      expectTypeOf(order).toEqualTypeOf<Order>()
      expectTypeOf(payment).toEqualTypeOf<Payment>()
      expectTypeOf(key).toEqualTypeOf<string>()
      return { order, payment }
    })
    inner.map((pair) => expectTypeOf(pair).toEqualTypeOf<{ order: Order; payment: Payment }>())
    expectTypeOf(inner.side('late')).toEqualTypeOf<KeyedFlow<LateRow<Order, Payment>, string>>()
    const within = { before: '1m', after: '1h' }
    orders().join('b', payments(), { within, type: 'left', max: 5 }, (order, payment) => {
      expectTypeOf(order).toEqualTypeOf<Order>()
      expectTypeOf(payment).toEqualTypeOf<Payment | undefined>()
    })
    orders().join('c', payments(), { within, type: 'right' }, (order, payment) => {
      expectTypeOf(order).toEqualTypeOf<Order | undefined>()
      expectTypeOf(payment).toEqualTypeOf<Payment>()
    })
    orders().join('d', payments(), { within, type: 'outer' }, async (order, payment) => {
      expectTypeOf(order).toEqualTypeOf<Order | undefined>()
      expectTypeOf(payment).toEqualTypeOf<Payment | undefined>()
    })
    expect(inner).toBeDefined()
  })

  it('know the rows of tables', () => {
    const latest = orders().joinTable('a', customers(), {}, (order, customer) => {
      expectTypeOf(order).toEqualTypeOf<Order>()
      expectTypeOf(customer).toEqualTypeOf<Customer>()
      return customer.name
    })
    latest.map((name) => expectTypeOf(name).toEqualTypeOf<string>())
    orders().joinTable('b', customers(), { type: 'left', mode: 'asOf', keep: '1h' }, (_, customer) =>
      expectTypeOf(customer).toEqualTypeOf<Customer | undefined>(),
    )
    orders().joinTable('c', payments(), { row: (payment) => payment.paid }, (_, paid) =>
      expectTypeOf(paid).toEqualTypeOf<number>(),
    )
    const joined = customers().joinTables('d', customers(), { type: 'left' }, (left, right) => {
      expectTypeOf(left).toEqualTypeOf<Customer>()
      expectTypeOf(right).toEqualTypeOf<Customer | undefined>()
      return left.name
    })
    expectTypeOf(joined).toEqualTypeOf<KeyedFlow<string | undefined, string>>()
    // What one join gives is a table again.
    joined.joinTables('e', payments(), { row: (name) => name, otherRow: ({ paid }) => paid }, (name, paid) => {
      expectTypeOf(name).toEqualTypeOf<string>()
      expectTypeOf(paid).toEqualTypeOf<number>()
    })
    expect(joined).toBeDefined()
  })

  it('refuse what is wrong', () => {
    const numbered = pipeline('p')
      .from(stream<Order>('orders'))
      .keyBy((record: StreamRecord<Order>) => record.value.amount)
    const wrong = (): void => {
      // @ts-expect-error no bound
      orders().join('a', payments(), {}, () => 1)
      // @ts-expect-error keys of another type
      orders().join('a', numbered, { within: '1h' }, () => 1)
      // @ts-expect-error no such type
      orders().join('a', payments(), { within: '1h', type: 'full' }, () => 1)
      // @ts-expect-error of an outer join a side may be missing
      orders().join('a', payments(), { within: '1h', type: 'outer' }, (order) => order.amount)
      // @ts-expect-error payments are no changes of a table
      orders().joinTable('a', payments(), {}, () => 1)
      // @ts-expect-error versions are kept for some time
      orders().joinTable('a', customers(), { mode: 'asOf' }, () => 1)
      // @ts-expect-error orders are no changes of a table
      orders().joinTables('a', customers(), {}, () => 1)
    }
    expect(wrong).toBeTypeOf('function')
    expectTypeOf<Change<Customer>>().not.toBeAny()
  })
})
