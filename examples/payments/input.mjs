// An evening of a shop: orders, and payments by another system that are there before or after them. The same ones each time.
//   node examples/payments/input.mjs orders | millrace append orders
//   node examples/payments/input.mjs payments | millrace append payments
import { pathToFileURL } from 'node:url'
import { linesOf, randomFrom } from '../daemon.mjs'

const minute = 60_000
const start = Date.UTC(2026, 10, 27, 18)
const withinMs = 30 * minute
const methods = ['card', 'card', 'card', 'transfer', 'voucher']

/** Orders and payments as records for `millrace append`, each in the order in which they happened, but for a few seconds. */
export function evening({ count = 300, seed = 11 } = {}) {
  const random = randomFrom(seed)
  const whole = (least, most) => least + Math.floor(random() * (most - least + 1))
  const orders = []
  const payments = []
  for (let i = 0; i < count; i++) {
    const at = start + whole(0, 240 * minute)
    const order = { id: `order-${i}`, customer: `customer-${whole(1, 80)}`, cents: whole(500, 20_000), at }
    orders.push(order)
    const luck = random()
    // Most pay soon, some never, some when it is too late.
    if (luck < 0.12) continue
    const delay = luck < 0.18 ? whole(31 * minute, 60 * minute) : whole(3_000, 29 * minute)
    payments.push({
      order: order.id,
      cents: order.cents,
      method: methods[whole(0, methods.length - 1)],
      at: at + delay,
    })
  }
  // The first ones of the next morning: from them on it is known that nothing more comes of the evening.
  const morning = start + 720 * minute
  orders.push({ id: 'order-morning', customer: 'customer-1', cents: 900, at: morning })
  payments.push({ order: 'order-morning', cents: 900, method: 'card', at: morning + 1000 })
  const jittered = (events) =>
    events.map((event) => ({ event, arrives: event.at + whole(0, 9_000) })).sort((a, b) => a.arrives - b.arrives)
  return {
    orders: jittered(orders).map(({ event }) => ({ key: event.id, value: event })),
    payments: jittered(payments).map(({ event }) => ({ key: event.order, value: event })),
  }
}

/** What becomes of each order, in plain code over everything in memory: what the pipeline has to find. */
export function outcomesOf({ orders, payments }) {
  const paid = new Map(payments.map(({ value }) => [value.order, value]))
  return orders.map(({ value: { id, customer, cents, at } }) => {
    const payment = paid.get(id)
    const isInTime = payment !== undefined && payment.at - at <= withinMs
    return {
      order: id,
      customer,
      cents,
      method: isInTime ? payment.method : null,
      open: isInTime ? cents - payment.cents : cents,
    }
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const records = evening()[process.argv[2]]
  if (!records) throw new Error('Say orders or payments.')
  process.stdout.write(linesOf(records))
}
