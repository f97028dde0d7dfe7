// A day of clicks, as they arrive: up to two minutes late and out of order. The same ones each time.
//   node examples/sessions/input.mjs | millrace append clicks
import { pathToFileURL } from 'node:url'
import { linesOf, randomFrom } from '../daemon.mjs'

const minute = 60_000
const dayStart = Date.UTC(2026, 2, 14, 6)
const gapMs = 30 * minute
const pages = ['/', '/search', '/offers', '/shoes/12', '/shoes/77', '/hats/3', '/cart', '/checkout', '/thanks']

/** Records for `millrace append`. */
export function clicks({ users = 60, seed = 7 } = {}) {
  const random = randomFrom(seed)
  const whole = (least, most) => least + Math.floor(random() * (most - least + 1))
  const made = []
  for (let i = 0; i < users; i++) {
    const user = `user-${i}`
    let at = dayStart + whole(0, 240) * minute
    for (let visits = whole(1, 4); visits > 0; visits--) {
      for (let left = whole(1, 14); left > 0; left--) {
        made.push({ user, page: pages[whole(0, pages.length - 1)], at, arrives: at + whole(0, 119_000) })
        // Somebody looks at a page for a few seconds, or goes to make tea; at most 29 minutes.
        at += random() < 0.9 ? whole(2_000, 3 * minute) : whole(5 * minute, 29 * minute)
      }
      at += whole(31, 300) * minute
    }
  }
  return made
    .sort((a, b) => a.arrives - b.arrives)
    .map(({ user, page, at }) => ({ key: user, value: { user, page, at } }))
}

/** The visits that the clicks make, in plain code over all of them in memory: what the pipeline has to find. */
export function visitsOf(records) {
  const visits = []
  const open = new Map()
  for (const { user, page, at } of records.map(({ value }) => value).sort((a, b) => a.at - b.at)) {
    const last = open.get(user)
    if (last && at - last.to <= gapMs) {
      last.clicks++
      last.to = at
      last.exit = page
    } else {
      const visit = { user, clicks: 1, landing: page, exit: page, from: at, to: at }
      open.set(user, visit)
      visits.push(visit)
    }
  }
  return visits
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(linesOf(clicks()))
