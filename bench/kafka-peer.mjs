// The other side of the benchmarks of the bridge, a process of its own: kafkajs alone that sends the same bodies in
// transactions, and a read_committed consumer that says how old each message is when it comes.
//   node bench/kafka-peer.mjs '{"role": "produce" | "consume", "address": "host:port", "topic": "...", ...}'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { bodyBytes, bodyOf, keyOf } from './bridge-load.mjs'

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

/** Ages in milliseconds of the messages that are made from `warmMs` after now on, until there are `messages` of them. */
async function consume({ messages, seconds, warmMs }) {
  const consumer = kafka.consumer({ groupId: `${topic}-ages`, maxWaitTimeInMs: 100, minBytes: 1 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const ages = []
  let from = Number.POSITIVE_INFINITY
  let done
  const enough = new Promise((resolve) => {
    done = resolve
  })
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve))
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const now = performance.timeOrigin + performance.now()
      for (const { value } of batch.messages) {
        const at = value?.indexOf('"at":') ?? -1
        const made = at < 0 ? 0 : Number.parseFloat(value.latin1Slice(at + 5, at + 25))
        if (made >= from) ages.push(now - made)
      }
      if (ages.length >= messages) done()
    },
  })
  await joined
  process.stdout.write('reading\n')
  from = performance.timeOrigin + performance.now() + warmMs
  await Promise.race([enough, sleep(seconds * 1000)])
  await consumer.disconnect()
  ages.sort((a, b) => a - b)
  const at = (q) => ages[Math.min(ages.length - 1, Math.floor(ages.length * q))]
  return { messages: ages.length, p50: at(0.5), p99: at(0.99), max: ages.at(-1) }
}

process.stdout.write(`${JSON.stringify(await (role === 'produce' ? produce : consume)(options))}\n`)
process.exit(0)
