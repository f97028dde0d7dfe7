// How long a change takes from before its append until a read_committed consumer has it, at a rate that leaves room, and where that time
// is: until the append is answered, until the broker has it (it stamps what it takes), and until the consumer has it. Beside it what each
// process takes of a core, since daemon, broker, load and consumer share them, and how long the collections of the daemon stop it.
import { setTimeout as sleep } from 'node:timers/promises'
import { appendAt, peer } from './bridge-load.mjs'
import { processorTime } from './process.mjs'

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]

/** Pauses of a collector, as V8 traces them: `[1:0x1] 1234 ms: Scavenge 5.1 (6.2) -> 4.3 (7.2) MB, 0.91 / 0.00 ms ...`. */
const pauseOf = (line) => {
  const found = /ms: (Scavenge|Mark-Compact).*? MB, ([\d.]+) \/ /.exec(line)
  return found ? { kind: found[1], ms: Number(found[2]) } : undefined
}

/** Once the broker, the daemon and the consumer have run so for `warm` seconds: a broker that was just started compiles for a while. */
export async function latency({ broker, startDaemon, bridge, rate, warm, seconds }) {
  const rows = []
  for (const guarantee of ['exactly-once', 'at-least-once']) {
    const daemon = await startDaemon(['--trace-gc'])
    await daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })
    const topicConfig = { 'message.timestamp.type': 'LogAppendTime' }
    const name = await bridge(daemon, { guarantee, format: 'image', topicConfig })
    while ((await daemon.v1('GET', `bridges/${name}`)).state.kind !== 'running') await sleep(50)
    const consumer = peer({
      role: 'consume',
      address: broker.address,
      topic: name,
      messages: Math.floor(rate * seconds * 0.99),
      warmMs: warm * 1000,
      seconds: warm + seconds * 3,
    })
    await consumer.reading
    const from = performance.now() + warm * 1000
    const pids = { daemon: daemon.pid, broker: broker.pid, load: process.pid }
    const before = {}
    const pauses = []
    const begin = setTimeout(() => {
      for (const [which, pid] of Object.entries(pids)) before[which] = processorTime(pid).all
      daemon.onLine = (line) => pauses.push(pauseOf(line))
    }, warm * 1000)
    const answered = []
    await appendAt(
      daemon,
      'bench',
      rate,
      () => performance.now() > from + seconds * 1000,
      (ms) => performance.now() > from && answered.push(ms),
    )
    clearTimeout(begin)
    const cores = (microseconds) => Number((microseconds / 1e6 / seconds).toFixed(2))
    const taken = Object.entries(pids).map(([which, pid]) => [
      `${which}, cores`,
      cores(processorTime(pid).all - before[which]),
    ])
    const ages = await consumer.result
    answered.sort((a, b) => a - b)
    const found = pauses.filter((pause) => pause !== undefined)
    rows.push({
      guarantee,
      'records/s': rate,
      messages: ages.messages,
      'answered p50': Math.round(quantile(answered, 0.5)),
      'answered p99': Math.round(quantile(answered, 0.99)),
      'at the broker p50': Math.round(ages.broker.p50),
      'at the broker p99': Math.round(ages.broker.p99),
      'seen p50': Math.round(ages.seen.p50),
      'seen p99': Math.round(ages.seen.p99),
      max: Math.round(ages.seen.max),
    })
    console.table([
      {
        guarantee,
        ...Object.fromEntries(taken),
        'consumer, cores': cores(ages.microseconds),
        'scavenges/s': Number((found.filter(({ kind }) => kind === 'Scavenge').length / seconds).toFixed(1)),
        'mark-compacts/s': Number((found.filter(({ kind }) => kind !== 'Scavenge').length / seconds).toFixed(2)),
        'longest pause, ms': Math.max(0, ...found.map(({ ms }) => ms)),
      },
    ])
    await daemon.stop()
  }
  console.table(rows)
}
