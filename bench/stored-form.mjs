// The stored form of an item: DynamoDB JSON against a binary form (MessagePack, by the fastest encoder that there is for Node), in
// microseconds of the main thread an item, the least of many rounds: `npm run bench -- stored-form`.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import { openStorage } from '../dist/storage/index.js'
import { changeText, encodeChange } from '../dist/tables/change.js'
import { decodeItem, decodeText, encodeItem } from '../dist/tables/item-value.js'
import { temporaryFolder } from './measure.mjs'
import { processorTime } from './process.mjs'

const count = 1000
const rounds = 60
const packr = new Packr({ useRecords: false })
const items = Array.from({ length: count }, (_, i) => ({
  id: { S: `partition ${i >> 6}` },
  sort: { S: `sort ${String(i).padStart(5, '0')}` },
  name: { S: 'some name of an item' },
  count: { N: String(i) },
  stamp: { N: '1764000000000' },
  pad: { S: 'x'.repeat(120) },
}))
const json = items.map((item) => Buffer.from(JSON.stringify(item)))
const binary = items.map((item) => Buffer.from(packr.pack(item)))
const texts = json.map((each) => encodeItem(each, 190, { ms: Date.now(), counter: 0 }).toString())
const keys = { json: Buffer.from('{"id":{"S":"partition 7"},"sort":{"S":"sort 00007"}}'), size: 30 }
const changes = json.map((each) => encodeChange(keys, { json: each, size: 190 }, { json: each, size: 190 }))
const binaryChanges = binary.map((each) => encodeChange(keys, { json: each, size: 190 }, { json: each, size: 190 }))
const requests = json.map((each) => Buffer.from(`{"TableName":"streamed","Item":${each}}`))

/** Calls `run` for all items, round after round; microseconds an item of the best round. */
function least(run) {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const began = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(began)
    best = Math.min(best, (user + system) / count)
  }
  return best
}

let sink = 0
const each = (run) => least(() => items.forEach((item, i) => (sink += run(item, i).length)))
const record = (name, image, old) => `{"eventName":"${name}","dynamodb":{"NewImage":${image},"OldImage":${old}}}`

const rows = {
  'PutItem: item to stored bytes': {
    json: each((item) => Buffer.from(JSON.stringify(item))),
    binary: each((item) => Buffer.from(packr.pack(item))),
  },
  "PutItem: the request's own bytes instead": {
    json: each((_, i) => requests[i].subarray(31, requests[i].length - 1)),
  },
  'GetItem: stored bytes to answer': {
    json: each((_, i) => Buffer.concat([Buffer.from('{"Item":'), json[i], Buffer.from('}')])),
    binary: each((_, i) => Buffer.from(`{"Item":${JSON.stringify(packr.unpack(binary[i]))}}`)),
  },
  'Query: stored bytes to answer': {
    json: least(() => {
      let answer = ''
      for (const text of texts) answer += `${decodeText(text).json},`
      sink += Buffer.from(answer).length
    }),
    binary: least(() => {
      let answer = ''
      for (const bytes of binary) answer += `${JSON.stringify(packr.unpack(bytes))},`
      sink += Buffer.from(answer).length
    }),
  },
  'GetRecords: both images to answer': {
    json: least(() => {
      let answer = ''
      for (const body of changes) {
        const { newImage, oldImage } = changeText(body)
        answer += record('MODIFY', newImage, oldImage)
      }
      sink += Buffer.from(answer, 'latin1').length
    }),
    binary: least(() => {
      let answer = ''
      for (const body of binaryChanges) {
        const length = body.readUInt32LE(0)
        const middle = 24 + length + body.readUInt32LE(4)
        const newImage = packr.unpack(body.subarray(24 + length, middle))
        const oldImage = packr.unpack(body.subarray(middle))
        answer += record('MODIFY', JSON.stringify(newImage), JSON.stringify(oldImage))
      }
      sink += Buffer.from(answer).length
    }),
  },
  'pipeline: stored bytes to object': {
    json: each((_, i) => [JSON.parse(json[i].toString())]),
    binary: each((_, i) => [packr.unpack(binary[i])]),
  },
  'bytes stored': { json: json[0].length, binary: binary[0].length },
}
for (const row of Object.values(rows)) for (const form in row) row[form] = Number(row[form].toFixed(2))
console.table(rows)

/** The same rows from the store: entries of Buffers, as every other reader takes them, against strings. */
async function fromStore() {
  const folder = temporaryFolder('stored-form')
  mkdirSync(folder, { recursive: true })
  const storage = await openStorage({
    path: join(folder, 'store'),
    createIfMissing: true,
    writeBufferBytes: 64 << 20,
    blockCacheBytes: 64 << 20,
    nativeCachePath: folder,
  })
  await storage.write((batch) => {
    json.forEach((bytes, i) => {
      batch.put(
        Buffer.from(`item ${String(i).padStart(6, '0')} and more`),
        encodeItem(bytes, 190, { ms: 1, counter: 1 }),
      )
    })
  }, false)
  const range = { gte: Buffer.from('item'), lt: Buffer.from('itf'), bytesMax: 256 * 1024 }
  const forms = {
    Buffers: async () => {
      for await (const { values } of storage.scan(range)) for (const value of values) sink += decodeItem(value).size
    },
    strings: async () => {
      for await (const values of storage.texts({ ...range, limit: -1 }))
        for (const value of values) sink += decodeText(value).size
    },
  }
  const found = {}
  for (const name in forms) {
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < rounds; round++) {
      const before = processorTime(process.pid).main
      await forms[name]()
      best = Math.min(best, (processorTime(process.pid).main - before) / count)
    }
    found[name] = { 'µs an item': Number(best.toFixed(2)) }
  }
  console.table(found)
  await storage.close()
}
await fromStore()
if (sink === 0) throw new Error('nothing was measured')
