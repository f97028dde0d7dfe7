import { pipeline, stream, table } from 'millrace'

interface ShopEvent {
  readonly type: 'ordered' | 'returned'
  readonly customer: string
  readonly lines: readonly { readonly article: string; readonly quantity: number; readonly cents: number }[]
}

/** What each customer has bought, in cents. It forgets quantities, and takes what was returned for bought once more. */
export default pipeline('customerTotals')
  .from(stream<ShopEvent>('shop-events'))
  .keyBy((event) => event.value.customer)
  .sum('cents', (event) => event.value.lines.reduce((sum, { cents }) => sum + cents, 0))
  .to(table('customerTotals', (cents, customer) => ({ customer, cents })))
