// The events of a small shop, always the same ones: orders of one to four lines, some of them returned, and samples.
const articles = [
  ['notebook', 450],
  ['fountain pen', 3200],
  ['ink, blue', 890],
  ['ink, black', 890],
  ['desk lamp', 5490],
  ['envelopes', 320],
  ['calendar', 1250],
]
const samples = ['paper sample', 0]
const customersMax = 120
const start = Date.UTC(2026, 0, 5, 8)

/** So many events from the one with a number on, as records of a stream. */
export function shopEvents(from, many) {
  return Array.from({ length: many }, (_, i) => shopEvent(from + i))
}

function shopEvent(number) {
  const next = numbers(number)
  const customer = `customer-${String(next(customersMax)).padStart(3, '0')}`
  const time = start + number * 90_000
  if (next(25) === 0)
    return record(number, time, { type: 'ordered', customer: `visitor-${number}`, lines: [line(samples, 1)] })
  const lines = Array.from({ length: 1 + next(4) }, () => line(articles[next(articles.length)], 1 + next(5)))
  return record(number, time, { type: next(12) === 0 ? 'returned' : 'ordered', customer, lines })
}

const line = ([article, cents], quantity) => ({ article, quantity, cents })
const record = (number, time, value) => ({ key: `order-${number}`, value, time })

/** Whole numbers below a bound that look random and follow from a seed (xorshift). */
function numbers(seed) {
  let state = (seed + 1) * 2654435761
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** What the totals should be, computed from the events as one would on paper. */
export function totalsOf(events) {
  const totals = {}
  for (const { value } of events) {
    if (value.lines.every(({ cents }) => cents === 0)) continue
    for (const { quantity, cents } of value.lines)
      totals[value.customer] = (totals[value.customer] ?? 0) + (value.type === 'returned' ? -1 : 1) * quantity * cents
  }
  return totals
}
