// Each query as an ordinary pipeline. They read rows of one stream whose key is the event's own number, so whatever a query
// groups by has to be shuffled. Of each result the number that is summed goes to one key, whose state (`totals`) counts and
// sums: it is committed with positions and windows, and put into a table from the result on that should be the last.
//
// The last event of each shard has the type `endType` and a time far ahead: it ends all windows, as the end of input would.
import { hopping, pipeline, session, stream, table, tumbling, valueState } from 'millrace'
import { auctionType, bidType, endType, personType } from './events.mjs'
import { inEuros, isBetter, wantedCategory, wantedStates } from './plain-queries.mjs'

/** Event time, four seconds behind the newest of a shard. */
const events = (name, from) =>
  pipeline(name)
    .from(stream(from))
    .map((record) => record.value)
const timed = (name, from) => events(name, from).eventTime((event) => event.dateTime, { outOfOrder: '4s' })
const bids = (name, from) => timed(name, from).filter((event) => event.type === bidType)

/**
 * Bids whose auction is not there yet, by time: only those with a higher price than all before them, one of which wins whatever the
 * auction's end.
 */
function withBid(bids, bid) {
  if (bids.some(({ time, price }) => time <= bid.time && price >= bid.price)) return bids
  const before = bids.filter(({ time }) => time < bid.time)
  return [...before, bid, ...bids.filter(({ time, price }) => time >= bid.time && price > bid.price)]
}

/** The highest of them up to a time. */
const priceAt = (bids, until) => bids.reduce((best, { time, price }) => (time <= until ? price : best), 0)

/** @param wanted count from which on the totals are shown */
const totals = (flow, { query, wanted, into }, amountOf) =>
  flow
    .map((result) => ({ count: 1, checksum: amountOf(result) }))
    .keyBy(() => query)
    .reduce('totals', (a, b) => ({ count: a.count + b.count, checksum: a.checksum + b.checksum }), { combine: true })
    .filter(({ count }) => count >= wanted)
    .to(table(into, ({ count, checksum }) => ({ query, count, checksum })))

export const queries = {
  q0: (run) =>
    totals(
      events('q0', run.from).filter((event) => event.type !== endType),
      run,
      (event) => event.dateTime % 1000,
    ),

  q1: (run) =>
    totals(
      events('q1', run.from)
        .filter((event) => event.type === bidType)
        .map(({ auction, bidder, price, dateTime }) => ({ auction, bidder, price: inEuros(price), dateTime })),
      run,
      ({ price }) => price,
    ),

  q2: (run) =>
    totals(
      events('q2', run.from)
        .filter((event) => event.type === bidType && event.auction % 123 === 0)
        .map(({ auction, price }) => ({ auction, price })),
      run,
      ({ price }) => price,
    ),

  /** Both sides are kept for ever; shuffled are the persons and auctions that are wanted, about 2 % of all events. */
  q3: (run) =>
    totals(
      events('q3', run.from)
        .filter(
          (event) =>
            (event.type === auctionType && event.category === wantedCategory) ||
            (event.type === personType && wantedStates.has(event.state)),
        )
        .map((event) =>
          event.type === personType
            ? { id: event.id, person: { name: event.name, city: event.city, state: event.state } }
            : { id: event.seller, auction: event.id },
        )
        .keyBy(({ id }) => id)
        .process('sellers', {
          state: { person: valueState(), auctions: valueState(() => []) },
          onRow({ person, auction }, { state, emit }) {
            if (person) {
              state.person.set(person)
              for (const each of state.auctions.get()) emit({ ...person, auction: each })
              state.auctions.clear()
              return
            }
            const seller = state.person.get()
            if (seller) emit({ ...seller, auction })
            else state.auctions.set([...state.auctions.get(), auction])
          },
        }),
      run,
      ({ auction }) => auction,
    ),

  /**
   * Bids and auctions meet at the auction (98 % of all events are shuffled), winning prices again at their category. Between
   * shards a bid may come before its auction; whose auction is not there when event time reaches the bid came too late.
   */
  q4: (run) =>
    totals(
      timed('q4', run.from)
        .filter((event) => event.type === bidType || event.type === auctionType)
        .map((event) =>
          event.type === bidType
            ? { id: event.auction, time: event.dateTime, price: event.price }
            : { id: event.id, time: event.dateTime, expires: event.expires, category: event.category },
        )
        .keyBy(({ id }) => id)
        .process('winners', {
          state: { open: valueState(), early: valueState() },
          onRow({ time, price, expires, category }, { state, setTimer }) {
            const auction = state.open.get()
            const early = state.early.get()
            if (expires !== undefined) {
              state.open.set({ expires, category, best: early ? priceAt(early, expires) : 0 })
              if (early) state.early.clear()
              setTimer(expires)
            } else if (auction) {
              if (time <= auction.expires && price > auction.best) state.open.set({ ...auction, best: price })
            } else {
              const bids = withBid(early ?? [], { time, price })
              if (bids === early) return
              state.early.set(bids)
              if (!early) setTimer(time)
            }
          },
          onTimer({ time }, { state, emit, setTimer }) {
            const auction = state.open.get()
            if (!auction) {
              const left = (state.early.get() ?? []).filter((bid) => bid.time > time)
              if (left.length === 0) return state.early.clear()
              state.early.set(left)
              setTimer(left[0].time)
            } else if (time >= auction.expires) {
              if (auction.best > 0) emit({ category: auction.category, price: auction.best })
              state.open.clear()
            }
          },
        })
        .keyBy(({ category }) => category)
        .aggregate(
          'means',
          () => ({ count: 0, sum: 0, price: 0 }),
          ({ count, sum }, { price }) => ({ count: count + 1, sum: sum + price, price }),
        )
        .map(({ count, sum, price }, category) => ({ category, mean: sum / count, price })),
      run,
      ({ price }) => price,
    ),

  /** Shuffled: all bids by auction; then one count for each auction and window. */
  q5: (run) =>
    totals(
      bids('q5', run.from)
        .keyBy(({ auction }) => auction)
        .window(hopping('10s', '2s'))
        .count('bids')
        .keyBy(({ end }) => end)
        .window(tumbling('2s'))
        .aggregate(
          'most',
          () => ({ count: 0, auctions: [] }),
          (most, { key, value }) => {
            if (value > most.count) return { count: value, auctions: [key] }
            return value < most.count ? most : { count: value, auctions: [...most.auctions, key] }
          },
        )
        .flatMap(({ value: { count, auctions } }) => auctions.map((auction) => ({ auction, count }))),
      run,
      ({ auction, count }) => (auction % 1000) * count,
    ),

  /** The largest of each of 16 groups of auctions first, so that one task has not all to do: all bids are shuffled. */
  q7: (run) =>
    totals(
      bids('q7', run.from)
        .map(({ auction, bidder, price, dateTime }) => ({ auction, bidder, price, dateTime }))
        .keyBy(({ auction }) => auction % 16)
        .window(tumbling('10s'))
        .reduce('largest-of-group', (best, bid) => (isBetter(bid, best) ? bid : best))
        .map(({ value }) => value)
        .keyBy(() => 'all')
        .window(tumbling('10s'))
        .reduce('largest', (best, bid) => (isBetter(bid, best) ? bid : best))
        .map(({ value }) => value),
      run,
      ({ price, auction, bidder }) => price + (auction % 1000) + (bidder % 1000),
    ),

  /** Shuffled: persons and auctions, 8 % of all events. */
  q8: (run) =>
    totals(
      timed('q8', run.from)
        .filter((event) => event.type === personType || event.type === auctionType)
        .map((event) =>
          event.type === personType ? { id: event.id, name: event.name } : { id: event.seller, name: undefined },
        )
        .keyBy(({ id }) => id)
        .window(tumbling('10s'))
        .aggregate(
          'new-sellers',
          () => ({ name: undefined, sold: false }),
          (seen, { name }) => (name === undefined ? { ...seen, sold: true } : { ...seen, name }),
        )
        .filter(({ value: { name, sold } }) => name !== undefined && sold)
        .map(({ key, start, value: { name } }) => ({ id: key, name, start })),
      run,
      ({ id }) => id,
    ),

  /** Shuffled: all bids by bidder. */
  q11: (run) =>
    totals(
      bids('q11', run.from)
        .keyBy(({ bidder }) => bidder)
        .window(session('10s'))
        .count('bids')
        .map(({ key, value, start, end }) => ({ bidder: key, count: value, start, end })),
      run,
      ({ count }) => count ** 2,
    ),

  /** Shuffled: all bids by bidder. */
  q12: (run) =>
    totals(
      bids('q12', run.from)
        .keyBy(({ bidder }) => bidder)
        .window(tumbling('10s'))
        .count('bids')
        .map(({ key, value, start }) => ({ bidder: key, count: value, start })),
      run,
      ({ count }) => count ** 2,
    ),
}
