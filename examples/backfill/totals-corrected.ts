import { pipeline, stream, table } from 'millrace'

interface ShopEvent {
  readonly type: 'ordered' | 'returned'
  readonly customer: string
  readonly lines: readonly { readonly article: string; readonly quantity: number; readonly cents: number }[]
}

/** What each customer has bought and kept, in cents. Who only asked for a sample, which costs nothing, is no customer. */
export default pipeline('customerTotals')
  .from(stream<ShopEvent>('shop-events'))
  .filter((event) => event.value.lines.some(({ cents }) => cents > 0))
  .keyBy((event) => event.value.customer)
  .sum('cents', (event) => {
    const cents = event.value.lines.reduce((sum, line) => sum + line.quantity * line.cents, 0)
    return event.value.type === 'returned' ? -cents : cents
  })
  .to(table('customerTotals', (cents, customer) => ({ customer, cents })))
