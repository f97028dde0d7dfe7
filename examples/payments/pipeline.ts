import { pipeline, stream } from 'millrace'

export interface Order {
  readonly id: string
  readonly customer: string
  readonly cents: number
  readonly at: number
}

export interface Payment {
  readonly order: string
  readonly cents: number
  readonly method: string
  readonly at: number
}

const orders = pipeline('payments')
  .from(stream<Order>('orders'))
  .eventTime(({ value }) => value.at, { outOfOrder: '10s' })
  .map(({ value }) => value)
  .keyBy(({ id }) => id)

const payments = pipeline('payments')
  .from(stream<Payment>('payments'))
  .eventTime(({ value }) => value.at, { outOfOrder: '10s' })
  .map(({ value }) => value)
  .keyBy(({ order }) => order)

/**
 * Each order with the payment that came within half an hour; an order without one comes out when that is over. What comes
 * out is decided by the times at which things happened, not by when they arrive here.
 */
const [unpaid, paid] = orders
  .join('payment', payments, { within: { before: '0ms', after: '30m' }, type: 'left' }, (order, payment) => ({
    order: order.id,
    customer: order.customer,
    cents: order.cents,
    method: payment?.method ?? null,
    open: order.cents - (payment?.cents ?? 0),
  }))
  .branch(({ method }) => method === null)

export default [
  unpaid.to(stream('reminders', (value) => ({ key: value.customer, value }))),
  paid.to(stream('settled', (value) => ({ key: value.order, value }))),
]
