// Two days of charges on cards, with fraud on a few of them and much that only looks like it. The same ones each time.
//   node examples/fraud/input.mjs | millrace append charges
import { pathToFileURL } from 'node:url'
import { linesOf, randomFrom } from '../daemon.mjs'

const minute = 60_000
const start = Date.UTC(2026, 6, 1)
const withinMs = 10 * minute
const smallCents = 200
const largeCents = 50_000
const merchants = ['grocer', 'bakery', 'filling station', 'bookshop', 'airline', 'jeweller', 'electronics', 'parking']
const countries = ['DE', 'FR', 'NL', 'PL']

/** Records for `millrace append`, in the order in which they happened, but for half a minute. */
export function charges({ cards = 120, seed = 23 } = {}) {
  const random = randomFrom(seed)
  const whole = (least, most) => least + Math.floor(random() * (most - least + 1))
  const one = (list) => list[whole(0, list.length - 1)]
  const made = []
  const charge = (card, at, cents) => {
    made.push({ card, cents, merchant: one(merchants), country: one(countries), at: start + at })
  }
  for (let i = 0; i < cards; i++) {
    const card = `card-${i}`
    const moment = () => whole(0, 47 * 60) * minute + whole(0, 59_999)
    for (let left = whole(5, 40); left > 0; left--) charge(card, moment(), whole(300, 12_000))
    // Parking is cheap, and a journey is dear.
    for (let left = whole(0, 3); left > 0; left--) charge(card, moment(), whole(50, 199))
    if (random() < 0.3) charge(card, moment(), whole(50_000, 180_000))
    const at = moment()
    const isFraud = random() < 0.08
    const isSlow = random() < 0.05
    if (isFraud || isSlow) {
      charge(card, at, 100)
      charge(card, at + whole(10_000, 90_000), 100)
      // Somebody who waited too long is another case, for another pattern.
      charge(
        card,
        at + (isFraud ? whole(2 * minute, 9 * minute) : whole(11 * minute, 60 * minute)),
        whole(60_000, 90_000),
      )
    }
  }
  // A charge a day later: from it on it is known that nothing more comes of these days.
  charge('card-0', 72 * 60 * minute, 1000)
  return made
    .map((value) => ({ value, arrives: value.at + whole(0, 29_000) }))
    .sort((a, b) => a.arrives - b.arrives)
    .map(({ value }) => ({ key: value.card, value }))
}

/** Two small charges and the first large one behind them, in plain code over all of a card's charges: what must be found. */
export function alertsOf(records) {
  const cards = new Map()
  for (const { value } of [...records].sort((a, b) => a.value.at - b.value.at))
    cards.set(value.card, [...(cards.get(value.card) ?? []), value])
  return [...cards.values()].flatMap(alertsOfCard)
}

function alertsOfCard(list) {
  const alerts = []
  for (let i = 0; i < list.length; i++) {
    const first = list[i]
    if (first.cents >= smallCents) continue
    const behind = list.slice(i + 1).filter(({ at }) => at - first.at <= withinMs)
    const second = behind.find(({ cents }) => cents < smallCents)
    const large = second && behind.slice(behind.indexOf(second) + 1).find(({ cents }) => cents >= largeCents)
    if (!large) continue
    const { card, cents, merchant, at } = large
    const probes = [first.merchant, second.merchant]
    alerts.push({ card, probes, cents, merchant, at, seconds: (at - first.at) / 1000 })
    // What a match has used begins no other.
    i = list.indexOf(large)
  }
  return alerts
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(linesOf(charges()))
