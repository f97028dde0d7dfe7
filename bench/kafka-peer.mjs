// The other side of the benchmarks of the bridge, a process of its own: kafkajs alone that sends the same bodies in
// transactions, and a read_committed consumer that says how old each message is when it comes.
//   node bench/kafka-peer.mjs '{"role": "produce" | "consume", "address": "host:port", "topic": "...", ...}'
import kafkajs from 'kafkajs'
import { openWith } from '../dist/kafka/index.js'
import { bodyBytes, bodyOf, keyOf } from './bridge-load.mjs'

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const { role, address, topic, ...options } = JSON.parse(process.argv[2])
const kafka = new kafkajs.Kafka({
  brokers: [address],
  logLevel: kafkajs.logLevel.NOTHING,
  // The broker writes the end of a transaction after it has answered; with the default of 300 ms each next one waits for so long.
  retry: { initialRetryTime: 5, retries: 20 },
})

/** Sends `records` messages, `perRequest` in one request, `perTransaction` in one transaction. */
async function produce({ records, perTransaction, perRequest, partitions }) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true })
  await admin.disconnect()
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    transactionalId: topic,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition,
  })
  await producer.connect()
  const bodies = Array.from({ length: perRequest }, (_, i) => bodyOf(i, Date.now()))
  let sent = 0
  const transaction = async (count) => {
    const open = await producer.transaction()
    for (let left = count; left > 0; left -= perRequest) {
      const messages = bodies.slice(0, Math.min(left, perRequest)).map((value) => {
        const number = sent++
        return { key: keyOf(number), value, partition: number % partitions }
      })
      await open.sendBatch({ acks: -1, topicMessages: [{ topic, messages }] })
    }
    await open.commit()
  }
  // The first one fences, loads metadata and warms the code.
  await transaction(perTransaction)
  sent = 0
  const began = performance.now()
  const cpu = process.cpuUsage()
  while (sent < records) await transaction(Math.min(perTransaction, records - sent))
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await producer.disconnect()
  return {
    perSecond: records / seconds,
    megabytes: (records * bodyBytes) / seconds / 1e6,
    microseconds: (user + system) / records,
  }
}

/**
 * Ages in milliseconds of the messages that are made from `warmMs` after now on, until there are `messages` of them: when they came here, and
 * when the broker had taken them, by the time that it gives them. What is committed is read by the bridge's own fetches: the library's
 * consumer takes several times as much of the cores for it, which all share.
 */
async function consume({ messages, seconds, warmMs }) {
  const cluster = openWith.kafkajs({ brokers: [address], clientId: 'ages', logger: silent })
  const consumer = await cluster.connectConsumer()
  const { byLeader } = await consumer.describe(topic)
  const next = new Map([...(await consumer.bounds(topic, byLeader.flat()))].map(([each, { oldest }]) => [each, oldest]))
  const [seen, broker] = [[], []]
  process.stdout.write('reading\n')
  const from = performance.timeOrigin + performance.now() + warmMs
  const until = performance.now() + seconds * 1000
  let cpu = process.cpuUsage()
  setTimeout(() => {
    cpu = process.cpuUsage()
  }, warmMs).unref()
  while (seen.length < messages && performance.now() < until) {
    for (const led of byLeader) {
      const offsets = new Map(led.map((partition) => [partition, next.get(partition)]))
      const fetched = await consumer.fetch(topic, offsets, { bytesMax: 8 * 1024 * 1024, waitMs: 100 })
      const now = performance.timeOrigin + performance.now()
      for (const { partition, records, next: behind } of fetched) {
        next.set(partition, behind)
        for (const { value, timestamp } of records) {
          const at = value?.indexOf('"at":') ?? -1
          const made = at < 0 ? 0 : Number.parseFloat(value.latin1Slice(at + 5, at + 25))
          if (made < from) continue
          seen.push(now - made)
          broker.push(timestamp - made)
        }
      }
    }
  }
  const { user, system } = process.cpuUsage(cpu)
  consumer.discard()
  return { messages: seen.length, microseconds: user + system, seen: quantiles(seen), broker: quantiles(broker) }
}

function quantiles(ages) {
  ages.sort((a, b) => a - b)
  const at = (q) => ages[Math.min(ages.length - 1, Math.floor(ages.length * q))]
  return { p50: at(0.5), p99: at(0.99), max: ages.at(-1) }
}

process.stdout.write(`${JSON.stringify(await (role === 'produce' ? produce : consume)(options))}\n`)
process.exit(0)
