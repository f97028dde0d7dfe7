// What the daemon takes of memory while the broker is away under load, beside what it takes of the same load while the bridge delivers,
// and how fast it catches up afterwards.
import { setTimeout as sleep } from 'node:timers/promises'
import { appendAt } from './bridge-load.mjs'
import { residentMegabytes } from './process.mjs'

/** Level is what has grown by less than this part in a minute. */
const growthMax = 0.02
const minuteMs = 60_000
/** Caches of the log and the store fill for a few minutes; what is not level by then is told. */
const levelMinutesMax = 10

/** Resident memory, looked at once a second. */
class Resident {
  #samples = []
  #timer

  constructor(pid) {
    const look = () => this.#samples.push({ at: performance.now(), mib: residentMegabytes(pid) })
    look()
    this.#timer = setInterval(look, 1000)
  }

  /** The most since a time. */
  most(from, to = Number.POSITIVE_INFINITY) {
    return Math.max(...this.#samples.filter(({ at }) => at >= from && at <= to).map(({ mib }) => mib))
  }

  /** Resolves with the most of the newest minute, once it is level. */
  async level() {
    const began = performance.now()
    for (;;) {
      await sleep(5000)
      const now = performance.now()
      const newest = this.most(now - minuteMs)
      const isOver = now - began > levelMinutesMax * minuteMs
      if (isOver) console.log(`memory was not level after ${levelMinutesMax} minutes`)
      if (isOver) return newest
      if (now - began < 2 * minuteMs) continue
      if (newest < this.most(now - 2 * minuteMs, now - minuteMs) * (1 + growthMax)) return newest
    }
  }

  stop() {
    clearInterval(this.#timer)
  }
}

export async function away({ broker, startDaemon, bridge, rate, minutes }) {
  const daemon = await startDaemon()
  await daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })
  const name = await bridge(daemon, { format: 'image' })
  const began = performance.now()
  let isOver = false
  const load = appendAt(daemon, 'bench', rate, () => isOver)
  const resident = new Resident(daemon.pid)
  const show = async () => (await daemon.v1('GET', `bridges/${name}`)).statistics
  const level = await resident.level()
  const behind = (await show()).lagRecords
  const leftAt = performance.now()
  await broker.kill()
  await sleep(minutes * minuteMs)
  const backAt = performance.now()
  await broker.start()
  const before = (await show()).records
  while ((await show()).records === before) await sleep(50)
  const caughtFrom = performance.now()
  const first = await show()
  let last = first
  for (; last.lagRecords > rate; last = await show()) await sleep(100)
  const seconds = (performance.now() - caughtFrom) / 1000
  const caught = last.records - first.records
  isOver = true
  await load
  resident.stop()
  console.table([
    {
      'load, records/s': rate,
      'behind before': behind,
      'minutes until level': Number(((leftAt - began) / minuteMs).toFixed(1)),
      'RSS level, MiB': Math.round(level),
      'minutes away': minutes,
      'most while away, MiB': Math.round(resident.most(leftAt, backAt)),
      'most while catching up, MiB': Math.round(resident.most(backAt)),
      'caught up, records/s': Math.round(caught / seconds),
      'times the load': Number((caught / seconds / rate).toFixed(2)),
    },
  ])
  await daemon.stop()
}
