// The events of the Nexmark-like workload: event n follows from n alone, so that any part of the stream can be made anywhere,
// and every query has one right answer. Blocks of 50: one person, three auctions, 46 bids; ten events a millisecond.

/** Time of the first event, milliseconds since 1970; a multiple of 10 s, so that windows begin with the stream. */
export const firstTime = 1_700_000_000_000
export const eventsPerMs = 10
export const firstId = 1000

/** The `type` of an event. */
export const personType = 0
export const auctionType = 1
export const bidType = 2
/** No event of the workload: the end of a shard. */
export const endType = 3

const blockLength = 50
const auctionsPerBlock = 3
/** Bids go to the newest 100 auctions, sellers and bidders are among the newest 1000 persons. */
const liveAuctions = 100
const livePersons = 1000
const hotPersonEvery = 100
const fillBytes = 4096

const cities = [
  'Phoenix',
  'Los Angeles',
  'San Francisco',
  'Boise',
  'Portland',
  'Bend',
  'Redmond',
  'Seattle',
  'Kent',
  'Cheyenne',
]
const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY']
const hotChannels = ['Google', 'Facebook', 'Baidu', 'Apple']

/** 32 random bits of event n for one purpose (`salt`): the finaliser of MurmurHash3 over both. */
export function bits(n, salt) {
  let h = n ^ Math.imul(salt, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Letters that texts are cut from. */
const letters = Array.from({ length: fillBytes }, (_, i) => String.fromCharCode(97 + (bits(i, 77) % 26))).join('')
const text = (random, length) => letters.substr(random & 2047, length)

/** Log-uniform: each power of two up to 2^20 is as likely as the next. */
function price(random) {
  const power = 2 ** (random % 20)
  return 100 + power + ((random >>> 8) & (power - 1))
}

/** One of the newest `live` of `newest + 1` things, counted from 0. */
const recent = (newest, live, random) => newest - (random % Math.min(newest + 1, live))
const fourDigits = (random) => (random % 9000) + 1000

function person(n, block, dateTime) {
  const a = bits(n, 1)
  const b = bits(n, 2)
  return {
    type: personType,
    id: firstId + block,
    name: `${text(a, 8)} ${text(b, 6)}`,
    email: `${text(a >>> 3, 7)}@${text(b >>> 3, 5)}.com`,
    creditCard: `${fourDigits(a)} ${fourDigits(b)} ${fourDigits(a >>> 9)} ${fourDigits(b >>> 9)}`,
    city: cities[bits(n, 3) % cities.length],
    state: states[bits(n, 4) % states.length],
    dateTime,
    extra: text(a >>> 7, 50 + (b & 63)),
  }
}

function auction(n, block, newestAuction, dateTime) {
  const fill = bits(n, 7)
  const initialBid = price(bits(n, 4))
  const isHot = bits(n, 1) % 4 !== 0
  const seller = isHot ? block - (block % hotPersonEvery) : recent(block, livePersons, bits(n, 2))
  return {
    type: auctionType,
    id: firstId + newestAuction,
    itemName: text(fill, 20),
    description: text(fill >>> 5, 100),
    initialBid,
    reserve: initialBid + price(bits(n, 5)),
    dateTime,
    expires: dateTime + 1 + (bits(n, 6) % 334),
    seller: firstId + seller,
    category: 10 + (bits(n, 3) % 5),
    extra: text(fill >>> 9, 200 + (fill & 127)),
  }
}

function bid(n, block, newestAuction, dateTime) {
  const isHotAuction = bits(n, 1) % 2 === 1
  const auction = isHotAuction
    ? newestAuction - (newestAuction % liveAuctions)
    : recent(newestAuction, liveAuctions, bits(n, 2))
  const isHotBidder = bits(n, 3) % 4 !== 0
  const bidder = isHotBidder ? block - (block % hotPersonEvery) + 1 : recent(block, livePersons, bits(n, 4))
  const c = bits(n, 6)
  const channel = (c >>> 8) % 10_000
  const fill = bits(n, 7)
  return {
    type: bidType,
    auction: firstId + auction,
    bidder: firstId + bidder,
    price: price(bits(n, 5)),
    channel: c & 1 ? hotChannels[channel & 3] : `channel-${channel}`,
    url: `https://auction.example/item.htm?query=1&channel_id=${channel}`,
    dateTime,
    extra: text(fill, 10 + ((fill >>> 12) & 31)),
  }
}

/** Event n. Its `type` says what it is. */
export function eventOf(n) {
  const block = Math.floor(n / blockLength)
  const place = n % blockLength
  const dateTime = firstTime + Math.floor(n / eventsPerMs)
  if (place === 0) return person(n, block, dateTime)
  const newestAuction = block * auctionsPerBlock + Math.min(place, auctionsPerBlock) - 1
  return place <= auctionsPerBlock ? auction(n, block, newestAuction, dateTime) : bid(n, block, newestAuction, dateTime)
}
