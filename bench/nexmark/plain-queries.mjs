// Each query in plain JavaScript, one thread, nothing durable: what the pipelines must give, and what their speed is measured
// against. A query is made once, is given each event in order, and says at the end how many results there were and the sum
// that the workload defines over them. Window ends and watermarks change nothing here, since no event is out of order.

import { auctionType, bidType, personType } from './events.mjs'

const windowMs = 10_000
const slideMs = 2_000
const sessionGapMs = 10_000
export const wantedStates = new Set(['OR', 'ID', 'CA'])
export const wantedCategory = 10

class Totals {
  count = 0
  checksum = 0

  add(value) {
    this.count++
    this.checksum += value
  }
}

/** A stateless query: what it gives of an event, or undefined. */
const stateless = (amountOf) => () => {
  const totals = new Totals()
  return {
    on: (event) => {
      const value = amountOf(event)
      if (value !== undefined) totals.add(value)
    },
    end: () => totals,
  }
}

/** Auctions of one category with their sellers in some states, as soon as both are there, kept for ever. */
function sellers() {
  const totals = new Totals()
  const persons = new Set()
  const waiting = new Map()
  return {
    on: (event) => {
      if (event.type === personType) {
        if (!wantedStates.has(event.state)) return
        const { id } = event
        persons.add(id)
        for (const auction of waiting.get(id) ?? []) totals.add(auction)
        waiting.delete(id)
      } else if (event.type === auctionType && event.category === wantedCategory) {
        const { id, seller } = event
        if (persons.has(seller)) totals.add(id)
        else waiting.set(seller, [...(waiting.get(seller) ?? []), id])
      }
    },
    end: () => totals,
  }
}

/** An auction closes when its time is over, at the largest price that was bid while it was open. */
function winningPrices() {
  const totals = new Totals()
  const open = new Map()
  const means = new Map()
  const close = (id, { best, category }) => {
    open.delete(id)
    if (best === 0) return
    totals.add(best)
    const mean = means.get(category) ?? { sum: 0, count: 0 }
    mean.sum += best
    mean.count++
    means.set(category, mean)
  }
  let now = 0
  return {
    on: (event) => {
      const { dateTime } = event
      if (dateTime > now) {
        now = dateTime
        for (const [id, auction] of open) {
          // They open in order and are open for a third of a second at most: the first that is young ends the search.
          if (auction.expires < now) close(id, auction)
          else if (auction.dateTime + 400 > now) break
        }
      }
      if (event.type === auctionType)
        open.set(event.id, { dateTime, expires: event.expires, category: event.category, best: 0 })
      else if (event.type === bidType) {
        const auction = open.get(event.auction)
        if (auction && dateTime <= auction.expires && event.price > auction.best) auction.best = event.price
      }
    },
    end: () => {
      for (const [id, auction] of open) close(id, auction)
      return totals
    },
  }
}

/** Windows of one length that begin every `everyMs`: makes what a window holds, and gives it to `close` when it is over. */
function windows(lengthMs, everyMs, make, close) {
  const open = new Map()
  return {
    /** Those that hold a time. */
    at(time, use) {
      for (let start = time - (time % everyMs); start > time - lengthMs; start -= everyMs) {
        let window = open.get(start)
        if (!window) {
          for (const [other, held] of open) {
            if (other + lengthMs > time) continue
            close(held, other)
            open.delete(other)
          }
          window = make()
          open.set(start, window)
        }
        use(window)
      }
    },
    end() {
      for (const [start, window] of open) close(window, start)
      open.clear()
    },
  }
}

const countUp = (map, key) => map.set(key, (map.get(key) ?? 0) + 1)

function hotAuctions() {
  const totals = new Totals()
  const close = (counts) => {
    let most = 0
    for (const count of counts.values()) if (count > most) most = count
    for (const [auction, count] of counts) if (count === most) totals.add((auction % 1000) * count)
  }
  const held = windows(windowMs, slideMs, () => new Map(), close)
  return {
    on: (event) => {
      if (event.type !== bidType) return
      const { auction } = event
      held.at(event.dateTime, (counts) => countUp(counts, auction))
    },
    end: () => {
      held.end()
      return totals
    },
  }
}

/** Whether a bid is the better one: the larger price, then the earlier, then the lower auction, then the lower bidder. */
export function isBetter(a, b) {
  if (a.price !== b.price) return a.price > b.price
  if (a.dateTime !== b.dateTime) return a.dateTime < b.dateTime
  return a.auction !== b.auction ? a.auction < b.auction : a.bidder < b.bidder
}

function largestBids() {
  const totals = new Totals()
  const close = ({ best }) => totals.add(best.price + (best.auction % 1000) + (best.bidder % 1000))
  const held = windows(windowMs, windowMs, () => ({ best: undefined }), close)
  return {
    on: (event) => {
      if (event.type !== bidType) return
      const { price } = event
      held.at(event.dateTime, (window) => {
        if (window.best && price < window.best.price) return
        const { auction, bidder, dateTime } = event
        const bid = { price, auction, bidder, dateTime }
        if (!window.best || isBetter(bid, window.best)) window.best = bid
      })
    },
    end: () => {
      held.end()
      return totals
    },
  }
}

function newSellers() {
  const totals = new Totals()
  const close = ({ persons, sellers }) => {
    for (const id of persons) if (sellers.has(id)) totals.add(id)
  }
  const held = windows(windowMs, windowMs, () => ({ persons: new Set(), sellers: new Set() }), close)
  return {
    on: (event) => {
      if (event.type === bidType) return
      held.at(event.dateTime, ({ persons, sellers }) => {
        if (event.type === personType) persons.add(event.id)
        else sellers.add(event.seller)
      })
    },
    end: () => {
      held.end()
      return totals
    },
  }
}

function sessions() {
  const totals = new Totals()
  const open = new Map()
  return {
    on: (event) => {
      if (event.type !== bidType) return
      const { bidder, dateTime } = event
      const session = open.get(bidder)
      if (session && dateTime - session.last <= sessionGapMs) {
        session.count++
        session.last = dateTime
        return
      }
      if (session) totals.add(session.count ** 2)
      open.set(bidder, { count: 1, last: dateTime })
    },
    end: () => {
      for (const { count } of open.values()) totals.add(count ** 2)
      return totals
    },
  }
}

function bidsOfBidders() {
  const totals = new Totals()
  const close = (counts) => {
    for (const count of counts.values()) totals.add(count ** 2)
  }
  const held = windows(windowMs, windowMs, () => new Map(), close)
  return {
    on: (event) => {
      if (event.type !== bidType) return
      const { bidder } = event
      held.at(event.dateTime, (counts) => countUp(counts, bidder))
    },
    end: () => {
      held.end()
      return totals
    },
  }
}

export const inEuros = (price) => Math.floor((price * 908) / 1000)

/** By name; each makes a query. */
export const plainQueries = {
  q0: stateless((event) => event.dateTime % 1000),
  q1: stateless((event) => (event.type === bidType ? inEuros(event.price) : undefined)),
  q2: stateless((event) => (event.type === bidType && event.auction % 123 === 0 ? event.price : undefined)),
  q3: sellers,
  q4: winningPrices,
  q5: hotAuctions,
  q7: largestBids,
  q8: newSellers,
  q11: sessions,
  q12: bidsOfBidders,
}
