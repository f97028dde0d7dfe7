// From a PutItem until a search finds it, at half of what the index can take, or at a rate that is given.
//   npm run bench -- search [--seconds 15] [--clients 32] [--words 24] [--rate 500] [--items 20000]
//     [--searches 10] [--server]
// --searches: of two words each, a second, beside the one reader who asks for what was written
// --server: an index of a real OpenSearch on this machine, kept by a pipeline, in place of the one inside of the daemon
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { plainSyncs, printMachine, summary, temporaryFolder } from './measure.mjs'
import { PipelineDaemon } from './pipeline-daemon.mjs'
import { processorTime } from './process.mjs'
import { ownIndex, serverIndex } from './search-indexes.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '15' },
    clients: { type: 'string', default: '32' },
    words: { type: 'string', default: '24' },
    items: { type: 'string', default: '20000' },
    rate: { type: 'string' },
    searches: { type: 'string', default: '10' },
    server: { type: 'boolean', default: false },
  },
})
const seconds = Number(flags.seconds)
const items = Number(flags.items)
const vocabulary = Array.from({ length: 50_000 }, (_, i) => `w${((i * 2_654_435_761) >>> 0).toString(36)}`)
/** Few words are common and many are rare, as in text. */
const anyWord = () => vocabulary[Math.floor(Math.random() ** 3 * vocabulary.length)]
const text = () => Array.from({ length: Number(flags.words) }, anyWord).join(' ')

/** A search may have 1,000 characters. */
const wordsAskedMax = 60
const searchEveryMs = 1000 / Number(flags.searches)
/** Under way at once: an index that is slower than that has its searches later. */
const searchesMax = 50
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const folder = temporaryFolder('search')
await printMachine(folder)
const daemon = await PipelineDaemon.start(join(folder, 'data'))
await daemon.table('notes', 'id')

const put = (id, title) =>
  daemon.aws('PutItem', {
    TableName: 'notes',
    Item: { id: { S: id }, title: { S: title }, note: { S: text() } },
  })
const index = flags.server ? await serverIndex(daemon, folder, put) : await ownIndex(daemon)

/** Microseconds of processor time of the daemon, of this process, and of the search server. */
const usage = () => [daemon.pid, process.pid, index.pid].map((pid) => (pid === undefined ? 0 : processorTime(pid).all))

let n = 0
/** Writes until it is enough, with all clients; gives the time from the first write until the index has the last one, seconds. */
async function write(isEnough) {
  const began = performance.now()
  await Promise.all(
    Array.from({ length: Number(flags.clients) }, async () => {
      while (!isEnough()) await put(`item ${n++ % items}`, text())
    }),
  )
  const answered = performance.now()
  await index.caughtUp()
  const over = performance.now()
  return { seconds: (over - began) / 1000, behindMs: Math.round(over - answered) }
}

/** Writes a second that the daemon stores and the index takes in: it is through with all of them at the end. */
async function most() {
  const [first, stopAt] = [n, performance.now() + seconds * 500]
  const { seconds: took, behindMs } = await write(() => performance.now() >= stopAt)
  const rate = (n - first) / took
  console.log(
    `the most: ${Math.round(rate)} writes/s with ${flags.clients} clients; the index was ${behindMs} ms behind the last`,
  )
  return rate
}

/** Words that are not found yet, oldest first, and what is done when they are. */
const wanted = new Map()
let isOver = false
/**
 * One reader asks for all of them at once, again and again with a pause: a reader for each would ask the more often the longer it
 * takes, and be what takes long. The pause is in the figure.
 */
async function read() {
  while (!isOver) {
    const words = [...wanted.keys()].slice(0, wordsAskedMax)
    for (const word of words.length === 0 ? [] : await index.found(words)) {
      wanted.get(word)?.()
      wanted.delete(word)
    }
    await pause(index.askEveryMs)
  }
}

await write(() => n >= items)
const rate = flags.rate === undefined ? (await most()) / 2 : Number(flags.rate)
const [lags, searches] = [[], []]
const pending = new Set()
const reading = read()
const cpu = usage()
const start = performance.now()
let sent = 0
let asked = 0
let searching = 0
async function watched(number) {
  const word = `unique${number}x`
  await put(`watched ${number}`, `${word} ${text()}`)
  const answered = performance.now()
  await new Promise((resolve) => wanted.set(word, resolve))
  lags.push(performance.now() - answered)
}
async function searched() {
  const began = performance.now()
  searching++
  await index.find(`${anyWord()} ${anyWord()}`)
  searching--
  searches.push(performance.now() - began)
}
while (performance.now() - start < seconds * 1000) {
  const due = Math.floor(((performance.now() - start) / 1000) * rate)
  for (; sent < due; sent++) {
    const work = (sent % 50 === 0 ? watched(sent) : put(`item ${n++ % items}`, text())).finally(() =>
      pending.delete(work),
    )
    pending.add(work)
  }
  const searchesDue = Math.floor((performance.now() - start) / searchEveryMs)
  if (asked < searchesDue && searching < searchesMax) {
    asked = searchesDue
    const work = searched().finally(() => pending.delete(work))
    pending.add(work)
  }
  // In small steps: what comes in a bunch waits for itself.
  await pause(2)
}
await Promise.all(pending)
isOver = true
await reading
const ran = (performance.now() - start) / 1000
const used = usage().map((now, i) => (now - cpu[i]) / 1e6 / ran)
const [lag, answer] = [summary(lags), summary(searches)]
const round = (value) => Number(value.toFixed(2))
console.table([
  {
    'writes/s': Math.round(sent / ran),
    'searches/s': round(searches.length / ran),
    watched: lags.length,
    'lag p50 ms': round(lag.p50),
    'lag p99 ms': round(lag.p99),
    'lag max ms': round(lag.max),
    'search p50 ms': round(answer.p50),
    'search p99 ms': round(answer.p99),
    'cores: daemon': round(used[0]),
    bench: round(used[1]),
    server: round(used[2]),
  },
])
console.log(
  `lag: from the answer of the write until a search finds its word, asked every ${index.askEveryMs} ms; ${index.most}`,
)
console.log(
  `64 KiB write + fdatasync, at the end of the run: p99 ${summary(await plainSyncs(folder)).p99.toFixed(2)} ms`,
)
await daemon.stop()
await index.close()
