import { MillraceError } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import { check } from './checker.js'
import { type Crash, Disk } from './disk.js'
import { Journal } from './journal.js'
import { Random } from './random.js'
import { openRooms, type Rooms, type Sizes } from './rooms.js'
import { Scheduler } from './scheduler.js'
import { lineageOf, Stored } from './stored.js'

/** Thrown into what a client does when the daemon it spoke to is gone. */
class Gone extends Error {}

/** A wall clock that is off by no more is believed; jumps of hours and a time that passes may come as near as that. */
const believedMs = 10 * 60_000

/** What a daemon may say to a client without anything being wrong. */
const refusals = new Set([
  'CONFLICT',
  'TOO_BUSY',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'SHARD_UNSPLITTABLE',
  'BAD_REQUEST',
  'STORE_FAILED',
  'IO_FAILED',
  'NOT_READY',
  'FENCED',
  'TRIMMED',
])

/**
 * One daemon after another on one disk, with everything that its clients do. Time is a clock that the simulation moves;
 * what happens when is chosen by random numbers that follow from the seed.
 */
export class Simulation {
  readonly random: Random
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly clock = new ManualClock()
  readonly journal = new Journal()
  readonly isSynced: boolean
  readonly #sizes: Sizes
  rooms: Rooms | undefined
  /** Number of the present daemon; it rises when one goes. */
  life = 0
  /** Keys of things of which one may run at a time. */
  readonly #running = new Set<string>()
  #isOpening = false
  #isStopping = false
  crashes = 0
  /** Rises when a group has moved. */
  progress = 0
  /** Time of the first commit that a client was told of since the opening, and when that began. */
  #firstReceipt: number | undefined
  #openedAt = 0
  /** How far the wall clock was moved since the opening, NaN when that is not known. */
  #jumped = 0
  readonly #times: number[] = []

  constructor(seed: number) {
    this.random = new Random(seed)
    this.scheduler = new Scheduler(this.random)
    this.disk = new Disk(this.random, this.scheduler)
    this.isSynced = !this.random.chance(0.12)
    this.#sizes = {
      chunkBytesMax: 300 + this.random.below(1500),
      tailCacheBytesMax: this.random.pick([0, 500, 2000, 1 << 20]),
      commitBytesMax: this.random.pick([1000, 4000, 1 << 20]),
      keptMs: this.random.pick([0, 60_000, 30 * 60_000]),
      keptBytes: this.random.pick([0, 500, 5000]),
    }
  }

  /** The rooms of the daemon that is there. */
  get live(): Rooms {
    if (!this.rooms) throw new Gone()
    return this.rooms
  }

  note(what: string): void {
    this.journal.trace.push(`${this.scheduler.steps} ${what}`)
  }

  fault(what: string): void {
    this.journal.faults.push(what)
  }

  /**
   * Runs what a client does, beside everything else. What it awaits of a daemon must go through `still`.
   *
   * @param key of those with one key, one runs at a time; a second is passed over
   */
  start(key: string, run: () => Promise<void>): void {
    if (this.#running.has(key)) return
    this.#running.add(key)
    const life = this.life
    run()
      .catch((error: unknown) => {
        // What a member was told of its lease may be old by then.
        if (error instanceof Gone || life !== this.life) return
        if (error instanceof MillraceError && refusals.has(error.code)) this.note(`${key}: ${error.code}`)
        else this.fault(`${key}: ${error instanceof Error ? error.stack : String(error)}`)
      })
      .finally(() => {
        if (life === this.life) this.#running.delete(key)
      })
  }

  /** Waits for an answer of the present daemon; throws when that is gone by then. */
  async still<T>(answer: Promise<T> | T): Promise<T> {
    const life = this.life
    try {
      const value = await answer
      if (life !== this.life) throw new Gone()
      return value
    } catch (error) {
      if (life !== this.life) throw new Gone()
      throw error
    }
  }

  /** Begins to open the store, unless it is open. */
  open(): void {
    if (this.rooms || this.#isOpening || this.#isStopping) return
    this.#isOpening = true
    this.#jumped = 0
    this.#firstReceipt = undefined
    this.#openedAt = this.clock.monotonic()
    const { life } = this
    this.start('open', async () => {
      try {
        this.rooms = await this.still(this.#openRooms(() => this.#poisoned(life)))
        // It began with a clock that it does not believe: a jump may be what sets that right.
        if (this.rooms.commit.time.alarm) this.#jumped = Number.NaN
        this.#isOpening = false
      } catch (error) {
        // The store failed while it was being opened: it is opened again.
        if (life === this.life && error instanceof MillraceError && error.code === 'IO_FAILED') this.#end('kill')
        throw error
      }
    })
  }

  #openRooms(onPoisoned: () => void): Promise<Rooms> {
    const { disk, clock, isSynced: synced } = this
    return openRooms({ disk, clock, synced, sizes: this.#sizes, onPoisoned })
  }

  /** As the daemon does: everything that stood on the store is dropped, and the store opened again. */
  #poisoned(life: number): void {
    if (life !== this.life) return
    this.note('poisoned')
    // Whoever has hold of the rooms goes on using them until they are dropped.
    this.scheduler.add(() => {
      if (life === this.life) this.#end('kill')
    })
  }

  crash(how: Crash): void {
    this.note(`crash: ${how}`)
    this.crashes++
    this.#end(how)
  }

  /** Trims what is due, and takes away what is empty. */
  retain(): void {
    const { retention } = this.live
    this.start('retain', () => this.still(retention.run()))
  }

  /** SIGTERM: everything queued is finished, then the process ends, and after it perhaps the power. */
  stop(): void {
    const { commit } = this.rooms as Rooms
    const { life } = this
    this.rooms = undefined
    this.#isStopping = true
    this.start('stop', async () => {
      try {
        await this.still(commit.close())
        this.note('stopped')
      } finally {
        if (life === this.life) this.#end(commit.poisoned ? 'kill' : this.random.pick(['kill', 'power']))
      }
    })
  }

  /** The next write meets an input/output error. */
  failWrite(): void {
    this.disk.failNext = true
  }

  /** At the very end: the store loses one commit without a word. The next opening must say so. */
  async damage(): Promise<void> {
    if (!this.isSynced || this.random.chance(0.5)) return
    this.crash('kill')
    const commits = this.disk.writes.flatMap(({ changes }, i) =>
      changes.some(([name, value]) => value && name.startsWith('\x02')) ? [i] : [],
    )
    const newest = this.random.chance(0.5) ? 1 : commits.length
    const lost = commits[commits.length - 1 - this.random.below(newest)]
    if (lost === undefined) return
    this.disk.lose(lost)
    let refusal: unknown
    const opening = this.#openRooms(() => {}).catch((error: unknown) => {
      refusal = error
    })
    await this.scheduler.settle()
    await opening
    if (!(refusal instanceof MillraceError) || refusal.code !== 'LOG_DAMAGED')
      this.fault(`write ${lost} of ${this.disk.writes.length + 1} was lost, and the store opened (${refusal})`)
  }

  #end(how: Crash): void {
    this.life++
    this.scheduler.clear()
    this.clock.clear()
    this.#running.clear()
    this.rooms = undefined
    this.#isOpening = false
    this.#isStopping = false
    this.journal.lostAnswers()
    this.disk.crash(how)
  }

  /** Everything that runs comes to its end, with the store open. */
  async settle(): Promise<void> {
    for (let tries = 0; tries < 10; tries++) {
      this.open()
      await this.scheduler.settle()
      if (this.rooms || this.journal.faults.length > 0) return
    }
    this.fault('the store does not open')
  }

  /** A client was told a commit and its time. */
  receipt(commit: number, time: number): void {
    this.journal.receipts.push({ commit, time })
    const monotonic = this.clock.monotonic()
    const first = this.#firstReceipt ?? time
    const last = this.#times.at(-1) ?? 0
    if (this.isSynced && time < last) this.fault(`commit time went back from ${last} to ${time}`)
    if (time > first + monotonic - this.#openedAt + believedMs)
      this.fault(`commit time followed a jump of the clock to ${time}`)
    this.#firstReceipt = first
    this.#times.push(time)
  }

  /** Records were shown to somebody: their commit has been written. */
  checkShown(records: readonly { readonly sequence: number; readonly body: string }[]): void {
    const last = this.disk.lastOf(2)?.readDoubleLE(8) ?? 0
    for (const { sequence, body } of records)
      if (sequence > last) this.fault(`${body} at ${sequence} was shown, and what is written ends at ${last}`)
  }

  /** A client was told that a row is this far: whatever happens now, it must stay so. */
  checkRow(row: string, value: number): void {
    if (!this.isSynced) return
    const durable = this.disk.rows().get(`\x08${row}`)?.readUInt32LE(0) ?? 0
    if (durable < value) this.fault(`somebody was told that ${row} is ${value}, and what is durable is ${durable}`)
  }

  someTime(nth: number): number {
    return (this.#times[nth % Math.max(1, this.#times.length)] ?? this.clock.now()) + (nth % 3) - 1
  }

  /** The wall clock is set to another time, by hours or days. */
  jump(ms: number): void {
    this.clock.wall += ms
    // During an opening nobody can say which time it began with.
    this.#jumped = this.rooms ? this.#jumped + ms : Number.NaN
  }

  checkExpiry(): void {
    if (this.rooms && Math.abs(this.#jumped) > 0 && this.rooms.commit.time.mayExpire())
      this.fault(`the clock is off by ${this.#jumped} ms, and things are deleted for their age`)
  }

  /** A shard is read for a group: every parent has the group's durable end, or the group began in the shard. */
  checkLineage(group: string, shard: number): void {
    const { position, parents, isKept } = lineageOf(this.disk.rows(), group, shard)
    for (const parent of parents) {
      if (position(parent)?.ended) continue
      // Of a parent that was trimmed away the end is known as long as some child needs it to be opened.
      if (isKept(parent) || !position(shard))
        this.fault(`group ${group} reads shard ${shard} before the end of its parent ${parent}`)
    }
    if (parents.length === 0 && !position(shard))
      this.fault(`group ${group} reads shard ${shard}, in which it has no position`)
  }

  stored(): Stored {
    return new Stored(this.disk.rows())
  }

  /** What is wrong now. Only for a daemon at rest whose groups have been given everything. */
  check(): string[] {
    return check(this.stored(), this.journal, { isSynced: this.isSynced })
  }
}
