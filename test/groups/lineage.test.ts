/**
 * Groups of members over shards that split and merge, with members that join, leave, die, are slow and come back too
 * late, seeks and restarts of the daemon. Each member appends what it read in the commit of its position, so the output
 * streams say what counted: of every key all records once, in order, whoever read them.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LeasedPosition, PollPage } from '../../src/groups/index.js'
import { forEachRecord, type NewRecord, type Sequence, type ShardId, type StreamId } from '../../src/log/index.js'
import type { MillraceError } from '../../src/runtime/index.js'
import { images, record } from '../log/open-log.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { memberLimits, type OpenedMembers, openMembers, settle } from './open-members.js'

interface Pending {
  readonly position: LeasedPosition
  readonly effects: readonly NewRecord[]
}

/** A member that reads ahead of what it commits. */
interface Reader {
  readonly group: string
  readonly id: string
  isDead: boolean
  generation: number | undefined
  readonly leases: Map<ShardId, LeasedPosition>
  readonly pending: Map<ShardId, Pending[]>
}

class World {
  opened!: OpenedMembers
  readonly #storage = new MemoryStorage()
  readonly #folder = temporaryFolder()
  #source!: StreamId
  readonly #outputs = new Map<string, StreamId>()
  readonly #readers: Reader[] = []
  /** Key -> the bodies in the order of their appends. */
  readonly appended = new Map<string, string[]>()
  /** Group -> key -> how many counted since its last seek. */
  readonly counted = new Map<string, Map<string, number>>()
  readonly faults: string[] = []
  readonly #marks: { readonly next: Sequence; readonly before: ReadonlyMap<string, number> }[] = []
  #number = 0
  fenced = 0

  async open(): Promise<void> {
    this.opened = await openMembers(this.#storage, this.#folder)
  }

  async begin(groups: readonly string[]): Promise<void> {
    await this.open()
    const { log } = this.opened
    this.#source = (await log.createStream({ name: 'source', kind: 'plain', shards: 2, images })).id
    for (const group of groups) {
      const output = await log.createStream({ name: `out-${group}`, kind: 'plain', shards: 1, images })
      this.#outputs.set(group, output.id)
      await this.opened.groups.create(group, this.#source, 'oldest')
      this.counted.set(group, new Map())
    }
  }

  async append(keys: readonly number[]): Promise<void> {
    const records = keys.map((key) => {
      const body = String(this.#number++)
      const name = `k${key}`
      this.appended.set(name, [...(this.appended.get(name) ?? []), body])
      return record(name, body)
    })
    await this.opened.commit.submit({ records: [{ stream: this.#source, records }] })
    const before = new Map([...this.appended].map(([key, bodies]) => [key, bodies.length]))
    this.#marks.push({ next: this.opened.log.nextSequence(), before })
  }

  async split(nth: number): Promise<void> {
    const open = this.opened.log.shards(this.#source).filter((shard) => shard.state === 'open')
    if (open.length < 10) await this.opened.log.split(open[nth % open.length]!.id)
  }

  /** A child with two parents. */
  async merge(nth: number): Promise<void> {
    const open = this.opened.log.openShards(this.#source).map(({ shard }) => shard.id)
    if (open.length < 2) return
    const left = nth % (open.length - 1)
    await this.opened.log.merge(open[left]!, open[left + 1]!)
  }

  async reseal(): Promise<void> {
    if (this.opened.log.shards(this.#source).length < 40) await this.opened.log.reopenShards(this.#source, images)
  }

  join(group: string): void {
    if (this.#alive(group).length >= 4) return
    const { id } = this.opened.memberships.members(group).join()
    this.#readers.push({ group, id, isDead: false, generation: undefined, leases: new Map(), pending: new Map() })
  }

  #alive(group?: string): Reader[] {
    return this.#readers.filter((reader) => !reader.isDead && (group === undefined || reader.group === group))
  }

  pick(nth: number): Reader | undefined {
    const alive = this.#alive()
    return alive[nth % Math.max(1, alive.length)]
  }

  /** It says no more, but what it has read it may still try to commit. */
  die(reader: Reader): void {
    reader.isDead = true
  }

  leave(reader: Reader): void {
    reader.isDead = true
    this.opened.memberships.members(reader.group).leave(reader.id)
  }

  async read(reader: Reader, bytesMax: number): Promise<void> {
    const cursors = new Map<ShardId, Sequence>()
    for (const [shard, position] of reader.leases) {
      const last = reader.pending.get(shard)?.at(-1)?.position ?? position
      if (!last.ended) cursors.set(shard, last.next)
    }
    const answer = await this.opened.memberships
      .members(reader.group)
      .poll(reader.id, {
        cursors,
        bytesMax,
        waitMs: 0,
        generation: reader.generation,
        signal: new AbortController().signal,
      })
      .catch((error: MillraceError) => {
        if (error.code !== 'FENCED') throw error
        reader.isDead = true
      })
    if (!answer) return
    answer.release()
    reader.generation = answer.generation
    const held = new Map(answer.assigned.map(({ shard, lease, next }) => [shard, { shard, lease, next, ended: false }]))
    for (const [shard, { lease }] of reader.leases) {
      if (held.get(shard)?.lease === lease || answer.revoked.includes(shard)) continue
      reader.leases.delete(shard)
      reader.pending.delete(shard)
    }
    for (const [shard, position] of held) if (!reader.leases.has(shard)) reader.leases.set(shard, position)
    for (const page of answer.pages) this.#take(reader, page, cursors.get(page.shard) as Sequence)
    this.#checkDisjoint(reader.group)
  }

  #take(reader: Reader, { shard, chunks, next, ended }: PollPage, from: Sequence): void {
    const position = reader.leases.get(shard)
    if (!position) return void this.faults.push(`${reader.id} was given records of ${shard}, which it does not hold`)
    const before = reader.pending.get(shard) ?? []
    const effects: NewRecord[] = []
    const ahead = new Map<string, number>()
    for (const { effects } of before) for (const { key } of effects) count(ahead, key.toString())
    for (const chunk of chunks) {
      forEachRecord(chunk, from, ({ key, body }) => {
        const name = key.toString()
        // What counted so far of this key, and what this reader has read ahead, is all that came before it: nothing of a
        // parent is still to come.
        const index = (this.counted.get(reader.group)?.get(name) ?? 0) + (ahead.get(name) ?? 0)
        if (this.appended.get(name)?.[index] !== body.toString())
          this.faults.push(`${reader.group} read ${name} ${body} in shard ${shard} as number ${index}`)
        count(ahead, name)
        effects.push(record(name, body.toString()))
        return true
      })
    }
    reader.pending.set(shard, [...before, { position: { ...position, next, ended }, effects }])
  }

  /** Commits up to `most` of what was read; whatever is fenced is forgotten and counts for nothing. */
  async commit(reader: Reader, most: number): Promise<void> {
    for (const [shard, list] of reader.pending) {
      for (let i = 0; i < most && list.length > 0; i++) {
        const { position, effects } = list.shift() as Pending
        if (!(await this.#commitOne(reader, position, effects))) {
          reader.pending.delete(shard)
          reader.leases.delete(shard)
          break
        }
        if (position.ended) reader.leases.delete(shard)
        else reader.leases.set(shard, position)
      }
    }
  }

  async #commitOne(reader: Reader, position: LeasedPosition, effects: readonly NewRecord[]): Promise<boolean> {
    const { memberships } = this.opened
    const stream = this.#outputs.get(reader.group) as StreamId
    try {
      await memberships
        .members(reader.group)
        .commitPositions(reader.id, [position], effects.length > 0 ? [{ stream, records: effects }] : [])
    } catch (error) {
      if ((error as MillraceError).code !== 'FENCED') throw error
      this.fenced++
      return false
    }
    const counted = this.counted.get(reader.group) as Map<string, number>
    for (const { key } of effects) count(counted, key.toString())
    return true
  }

  async release(reader: Reader): Promise<void> {
    if (reader.isDead) return
    const shards = [...reader.leases.keys()].filter((shard) => !reader.pending.get(shard)?.length)
    const first = shards[0]
    if (first === undefined) return
    reader.leases.delete(first)
    try {
      this.opened.memberships.members(reader.group).release(reader.id, [first])
    } catch {
      reader.isDead = true
    }
  }

  /** To the beginning, or to a place between two appends: then what lies before it does not come again. */
  async seek(group: string, nth: number): Promise<void> {
    const mark = this.#marks[nth % (this.#marks.length + 1)]
    await this.opened.memberships.seek(group, mark ? { sequence: mark.next } : 'oldest')
    this.counted.set(group, new Map(mark?.before))
    this.passed.set(group, new Map(mark?.before))
    this.seeks.set(group, this.opened.log.nextSequence())
  }

  /** Group -> key -> how many lie before the place of its last seek. */
  readonly passed = new Map<string, ReadonlyMap<string, number>>()

  /** What an output had before the last seek is of an earlier run. */
  readonly seeks = new Map<string, Sequence>()

  /** Whoever was a member has to join again; what was read and not committed is forgotten. */
  async restart(): Promise<void> {
    this.opened.memberships.close()
    await this.opened.commit.settled()
    await this.open()
    for (const reader of this.#readers) reader.isDead = true
  }

  #checkDisjoint(group: string): void {
    const seen = new Set<ShardId>()
    for (const { member, shards } of this.opened.memberships.members(group).view()) {
      for (const shard of shards) {
        if (seen.has(shard)) this.faults.push(`${member} holds ${shard} of ${group}, and another one too`)
        seen.add(shard)
      }
    }
  }

  /** One member of each group reads to the end of everything. */
  async drain(): Promise<void> {
    for (const reader of this.#alive()) this.die(reader)
    this.opened.clock.advance(memberLimits.sessionMs)
    await settle()
    for (const group of this.counted.keys()) {
      const { id } = this.opened.memberships.members(group).join()
      const leases = new Map<ShardId, LeasedPosition>()
      const reader: Reader = { group, id, isDead: false, generation: undefined, leases, pending: new Map() }
      for (let idle = 0; idle < 4; ) {
        await settle()
        await this.read(reader, 1 << 20)
        idle = [...reader.pending.values()].some((list) => list.length > 0) ? 0 : idle + 1
        await this.commit(reader, 1000)
      }
    }
  }

  expected(group: string): Record<string, readonly string[]> {
    const after = [...this.appended].map(([key, bodies]) => [key, bodies.slice(this.passed.get(group)?.get(key) ?? 0)])
    return Object.fromEntries(after.filter(([, bodies]) => bodies!.length > 0))
  }

  /** What the output of a group says since its last seek, by key. */
  async output(group: string): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {}
    const shard = this.opened.log.shards(this.#outputs.get(group) as StreamId)[0]!
    for (let from = shard.lowWatermark; ; ) {
      const { chunks, next } = await this.opened.log.read(shard.id, from, { bytesMax: 1 << 20 })
      if (chunks.length === 0) return found
      for (const chunk of chunks) {
        forEachRecord(chunk, from, ({ sequence, key, body }) => {
          if (sequence < (this.seeks.get(group) ?? 0)) return true
          const name = key.toString()
          found[name] = [...(found[name] ?? []), body.toString()]
          return true
        })
      }
      from = next
    }
  }
}

const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1)

const nth = fc.nat(20)
const groups = ['a', 'b'] as const
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 6 })
      .map((keys) => ['append', keys] as const),
  },
  { weight: 2, arbitrary: nth.map((n) => ['split', n] as const) },
  { weight: 2, arbitrary: nth.map((n) => ['merge', n] as const) },
  { weight: 1, arbitrary: fc.constant(['reseal'] as const) },
  { weight: 3, arbitrary: fc.constantFrom(...groups).map((group) => ['join', group] as const) },
  { weight: 12, arbitrary: fc.tuple(nth, fc.constantFrom(1, 300, 1 << 20)).map((of) => ['read', of] as const) },
  { weight: 9, arbitrary: fc.tuple(nth, fc.constantFrom(1, 100)).map((of) => ['commit', of] as const) },
  { weight: 1, arbitrary: nth.map((n) => ['leave', n] as const) },
  { weight: 1, arbitrary: nth.map((n) => ['die', n] as const) },
  { weight: 2, arbitrary: nth.map((n) => ['release', n] as const) },
  { weight: 3, arbitrary: fc.constantFrom(1000, 5000, 10_000).map((ms) => ['time', ms] as const) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...groups), nth).map((of) => ['seek', of] as const) },
  { weight: 1, arbitrary: fc.constant(['restart'] as const) },
)

async function take(world: World, [kind, of]: readonly [string, unknown?]): Promise<void> {
  const reader = typeof of === 'number' ? world.pick(of) : Array.isArray(of) ? world.pick(Number(of[0])) : undefined
  switch (kind) {
    case 'append':
      return world.append(of as number[])
    case 'split':
      return world.split(of as number)
    case 'merge':
      return world.merge(of as number)
    case 'reseal':
      return world.reseal()
    case 'join':
      return world.join(of as string)
    case 'read':
      return reader && world.read(reader, (of as number[])[1] as number)
    case 'commit':
      return reader && world.commit(reader, (of as number[])[1] as number)
    case 'leave':
      return reader && world.leave(reader)
    case 'die':
      return reader && world.die(reader)
    case 'release':
      return reader && world.release(reader)
    case 'time':
      world.opened.clock.advance(of as number)
      return
    case 'seek':
      return world.seek(...(of as [string, number]))
    case 'restart':
      return world.restart()
  }
}

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** A member whose session is over commits what it read before: of some runs by chance none is so late. */
const tooLate: Step[] = [
  ['append', [0, 1, 2, 3, 4, 5]],
  ['read', [0, 1 << 20]],
  ['read', [0, 1 << 20]],
  ['time', 10_000],
  ['commit', [0, 100]],
]

it('no group sees a key out of order, lost, twice, or before the parent of its shard has ended', async () => {
  let fenced = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), async (steps) => {
      const world = new World()
      await world.begin(groups)
      for (const group of groups) world.join(group)
      for (const each of steps) {
        await take(world, each)
        // Sometimes the next step comes before the last one's consequences.
        if (each[0] !== 'time') await settle()
      }
      await world.drain()
      expect(world.faults).toEqual([])
      for (const group of groups) expect(await world.output(group)).toEqual(world.expected(group))
      fenced += world.fenced
    }),
    { numRuns: Number(process.env.MILLRACE_TEST_SEEDS ?? 40), examples: [[tooLate]] },
  )
  // The runs are of no use if nobody ever came too late.
  expect(fenced).toBeGreaterThan(0)
})
