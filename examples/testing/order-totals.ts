import { pipeline, stream, table } from 'millrace'

export interface Order {
  readonly customer: string
  readonly amount: number
}

export const orders = stream<Order>('orders')

/** What every customer has spent, kept in a table. */
export default pipeline('orderTotals')
  .from(orders)
  .filter((order) => order.value.amount > 0)
  .keyBy((order) => order.value.customer)
  .sum('spent', (order) => order.value.amount)
  .to(table('customers', (spent, customer) => ({ customer, spent })))
