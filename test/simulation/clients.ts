/** What clients of the daemon do in a simulation: one function an action. */
import type { Placement } from '../../src/commit/index.js'
import type { Position } from '../../src/groups/index.js'
import { encodeBatch, type NewRecord, type Sequence, type Shard, type StartPosition } from '../../src/log/index.js'
import { compareHash, type Hash64, hashAfter, type MillraceError } from '../../src/runtime/index.js'
import type { Choice } from './choice.js'
import type { Append, GroupHistory } from './journal.js'
import { Members } from './members.js'
import { Producers } from './producers.js'
import { hashOf, hexOf, recordOf, recordsOf } from './records.js'
import type { Rooms } from './rooms.js'
import type { Simulation } from './simulation.js'

export const sources = ['s0', 's1'] as const
const images = { old: false, new: false }
const keysOfClient = 4
const groupsMax = 4

const at = <T>(list: readonly T[], nth: number): T | undefined => list[nth % Math.max(1, list.length)]

export class Clients {
  readonly #simulation: Simulation
  /** Key hashes lie anywhere, or in clusters as those of similar keys may. */
  readonly #hashes = new Map<string, Hash64>()
  readonly #numbers = new Map<string, number>()
  /** Where a reader of a shard goes on. */
  readonly #cursors = new Map<number, Sequence>()
  #number = 0
  #groups = 0

  readonly members: Members
  readonly producers: Producers

  constructor(simulation: Simulation) {
    this.#simulation = simulation
    this.members = new Members(simulation)
    this.producers = new Producers(simulation, sources, (client, stream, size) => {
      const sent = this.#records(client, stream, size)
      return { records: sent.map(({ record }) => record), entries: sent.map(({ entry }) => entry) }
    })
  }

  get #rooms(): Rooms | undefined {
    return this.#simulation.rooms
  }

  /** The streams that all else is about. */
  begin(): void {
    const { log } = this.#rooms as Rooms
    for (const name of sources) {
      if (log.streamNamed(name)) continue
      this.#simulation.start(`create ${name}`, async () => {
        await this.#simulation.still(log.createStream({ name, kind: 'plain', shards: 1 + this.#number++, images }))
      })
    }
  }

  #hash(key: string): Hash64 {
    let hash = this.#hashes.get(key)
    if (!hash) {
      const { random } = this.#simulation
      const anywhere = { hi: random.below(2 ** 32), lo: random.below(2 ** 32) }
      hash = random.pick([anywhere, anywhere, { hi: 0x4000_0000, lo: random.below(3) }, { hi: 0, lo: 0 }])
      this.#hashes.set(key, hash)
    }
    return hash
  }

  /** The next records of a client, of keys that nobody else writes. */
  #records(client: string, stream: string, size: number): { record: NewRecord; entry: Append }[] {
    return Array.from({ length: 1 + (size % 9) }, () => {
      const key = `${stream}.${client}.${this.#simulation.random.below(keysOfClient)}`
      const number = (this.#numbers.get(key) ?? 0) + 1
      this.#numbers.set(key, number)
      const [id, hash] = [`${client}/${key}/${number}`, this.#hash(key)]
      const entry = this.#simulation.journal.append({ id, stream, key, hash: hexOf(hash) })
      return { record: recordOf(key, hash, id), entry }
    })
  }

  /** Loose records, or a batch that the client encoded, whatever it believes about the shards. */
  append({ pick, size }: Choice): void {
    const { log, commit } = this.#rooms as Rooms
    const name = sources[pick % 2] as string
    const stream = log.streamNamed(name)
    if (!stream) return
    const simulation = this.#simulation
    simulation.start(`append ${this.#number++}`, async () => {
      const sent = this.#records(`c${pick % 3}`, name, size)
      const [records, entries] = [sent.map(({ record }) => record), sent.map(({ entry }) => entry)]
      const placed: Placement[] = []
      const effect =
        size % 2 === 0
          ? { stream: stream.id, records, placed }
          : { stream: stream.id, batch: encodeBatch(records), placed }
      await this.#answered(entries, placed, () => commit.submit({ records: [effect] }))
    })
  }

  async #answered(
    entries: readonly Append[],
    placed: readonly Placement[],
    submit: () => Promise<{ commit: number; time: number }>,
  ): Promise<void> {
    try {
      this.#received(await this.#simulation.still(submit()))
      for (const entry of entries) {
        entry.outcome = 'acknowledged'
        entry.placed = placed.map(({ shard, firstSequence, count }) => ({ shard, first: firstSequence, count }))
      }
    } catch (error) {
      if ('code' in (error as object)) {
        const outcome = (error as MillraceError).outcome === 'unknown' ? 'unknown' : 'refused'
        for (const entry of entries) entry.outcome = outcome
      }
      throw error
    }
  }

  #received({ commit, time }: { commit: number; time: number }): void {
    this.#simulation.receipt(commit, time)
  }

  /** Some clients, one after another and none waiting for the answer of the one before. */
  raise({ pick, size }: Choice): void {
    const simulation = this.#simulation
    simulation.start(`raisers ${this.#number++}`, async () => {
      for (let i = 0; i <= size % 7; i++) {
        if (this.#rooms) this.#raise(pick)
        await simulation.still(simulation.scheduler.pause())
      }
    })
  }

  /** Raises a row by one, under its latch. */
  #raise(pick: number): void {
    const { commit } = this.#rooms as Rooms
    const simulation = this.#simulation
    const { key, row } = rowOf(pick)
    simulation.start(`raise ${this.#number++}`, async () => {
      const release = await simulation.still(commit.latch([key]))
      let written: Promise<unknown>
      let to: number
      try {
        const { value } = await simulation.still(commit.read(key))
        to = (value?.readUInt32LE(0) ?? 0) + 1
        written = commit.submit({ rows: [{ key, value: rowValue(to) }] })
      } finally {
        release()
      }
      await simulation.still(written)
      simulation.checkRow(row, to)
      simulation.journal.raises.push({ row, to })
    })
  }

  /** Says what a row is, without an effect of its own: as a write whose condition failed does. */
  look({ pick, size }: Choice): void {
    const { commit } = this.#rooms as Rooms
    const simulation = this.#simulation
    const { key, row } = rowOf(pick)
    simulation.start(`look ${this.#number++}`, async () => {
      let value: Buffer | undefined
      if (size % 2 === 0) value = await simulation.still(commit.readDurable(key))
      else {
        const release = await simulation.still(commit.latch([key]))
        let seen: number | undefined
        try {
          const decided = await simulation.still(commit.read(key))
          value = decided.value
          seen = decided.seen
        } finally {
          release()
        }
        if (seen !== undefined) await simulation.still(commit.returned(seen))
      }
      const number = value?.readUInt32LE(0) ?? 0
      simulation.checkRow(row, number)
      simulation.journal.looks.push({ row, value: number })
    })
  }

  /** Any shard of any stream, from where the last read of it ended or from anywhere. */
  read({ pick, size }: Choice): void {
    const { log } = this.#rooms as Rooms
    const simulation = this.#simulation
    const shard = this.#anyShard(pick, () => true)
    if (!shard) return
    const ends = [shard.lowWatermark, this.#cursors.get(shard.id) ?? shard.firstSequence, shard.firstSequence + size]
    const from = Math.max(at(ends, size) as number, shard.lowWatermark) as Sequence
    simulation.start(`read ${this.#number++}`, async () => {
      const page = await simulation.still(log.read(shard.id, from, { bytesMax: 1 + ((size * 37) % 2000) }))
      const records = recordsOf(page.chunks, from)
      simulation.checkShown(records)
      this.#cursors.set(shard.id, page.next)
      simulation.journal.reads.push({ shard: shard.id, from, next: page.next, records })
    })
  }

  #anyShard(pick: number, wanted: (shard: Shard) => boolean): Shard | undefined {
    const { log } = this.#rooms as Rooms
    const streams = log.streams()
    const stream = at(streams, pick)
    return stream && at(log.shards(stream.id).filter(wanted), pick >> 3)
  }

  /** In the middle, or at the hashes of some keys, one of which may get a shard of its own. */
  split({ pick, size }: Choice): void {
    const { log } = this.#rooms as Rooms
    const shard = this.#anyShard(pick, ({ state }) => state === 'open')
    if (!shard) return
    const inside = [...this.#hashes.values()]
      .filter((hash) => compareHash(hash, shard.low) > 0 && compareHash(hash, shard.high) <= 0)
      .sort(compareHash)
      .filter((hash, i, all) => i === 0 || compareHash(hash, all[i - 1] as Hash64) > 0)
    const from = size % Math.max(1, inside.length)
    const some = inside.slice(from, from + 1 + (size % 4))
    const [first] = some
    const isolated = first && compareHash(first, shard.high) < 0 ? [first, hashAfter(first)] : some
    const cuts = size % 3 === 0 || some.length === 0 ? undefined : size % 3 === 1 ? some : isolated
    const simulation = this.#simulation
    simulation.start(`split ${this.#number++}`, async () => {
      await simulation.still(log.split(shard.id, cuts))
    })
  }

  merge({ pick, size }: Choice): void {
    const { log } = this.#rooms as Rooms
    const stream = at(log.streams(), pick)
    const open = stream ? log.shards(stream.id).filter(({ state }) => state === 'open') : []
    const sorted = open.sort((a, b) => compareHash(a.low, b.low))
    const left = size % Math.max(1, sorted.length - 1)
    const [lower, upper] = [sorted[left], sorted[left + 1]]
    if (!lower || !upper) return
    const simulation = this.#simulation
    simulation.start(`merge ${this.#number++}`, async () => {
      await simulation.still(log.merge(lower.id, upper.id))
    })
  }

  /** Seals all shards of a stream for one child each. */
  reopen({ pick }: Choice): void {
    const { log } = this.#rooms as Rooms
    const stream = log.streamNamed(sources[pick % 2] as string)
    if (!stream || log.shards(stream.id).length > 60) return
    const simulation = this.#simulation
    simulation.start(`reopen ${this.#number++}`, async () => {
      await simulation.still(log.reopenShards(stream.id, images))
    })
  }

  /** Makes a group, with a stream for what it is given. */
  join({ pick, size }: Choice): void {
    const { log, groups, commit } = this.#rooms as Rooms
    const source = sources[pick % 2] as string
    const stream = log.streamNamed(source)
    if (!stream || this.#groups >= groupsMax) return
    const simulation = this.#simulation
    const kind = size % 7 < 3 ? 'pipeline' : 'client'
    const name = `${kind}${this.#groups++}`
    const output = `out:${name}`
    simulation.start(`join ${name}`, async () => {
      const { id } = await simulation.still(
        log.createStream({ name: output, kind: 'plain', shards: 1 + (size % 2), images }),
      )
      // What a group was given is the checker's evidence.
      await simulation.still(log.alterStream(id, (described) => ({ ...described, retention: 'forever' })))
      const start = this.#startOf(size, commit.durableNextSequence)
      const history: GroupHistory = {
        name,
        stream: source,
        output,
        start,
        before: simulation.journal.acknowledged(),
        submittedBefore: undefined,
        fromLease: 0,
        isUnknown: false,
      }
      simulation.journal.groups.set(name, history)
      await simulation.still(groups.create(name, stream.id, start as StartPosition, { kind }))
      history.submittedBefore = new Set(simulation.journal.appends.keys())
    })
  }

  #startOf(size: number, newest: number): GroupHistory['start'] {
    switch (size % 5) {
      case 0:
        return 'newest'
      case 1:
        return { sequence: 1 + ((size * 31) % (newest + 2)) }
      case 2:
        return { timeMs: this.#simulation.someTime(size) }
      default:
        return 'oldest'
    }
  }

  /** A group reads on, and appends what it was given in the commit of its positions. */
  consume({ pick, size }: Choice): void {
    const { log, groups, commit } = this.#rooms as Rooms
    const group = at(
      groups.list().filter(({ kind }) => kind === 'pipeline'),
      pick,
    )
    if (!group) return
    const simulation = this.#simulation
    const output = log.streamNamed(`out:${group.name}`)
    if (!output) return simulation.fault(`the group ${group.name} is there, its stream is not`)
    simulation.start(`consume ${group.name}`, async () => {
      const positions: Position[] = []
      const given: NewRecord[] = []
      for (const { shard, next } of group.readable()) {
        simulation.checkLineage(group.name, shard)
        const page = await simulation
          .still(log.read(shard, next, { bytesMax: 1 + ((size * 53) % 3000) }))
          .catch((error: MillraceError) => {
            // It holds what it has not read, from the commit of its start on.
            if (error.code === 'TRIMMED')
              simulation.fault(`group ${group.name} lost records that it holds: ${error.message}`)
            throw error
          })
        const records = recordsOf(page.chunks, next)
        simulation.checkShown(records)
        for (const { key, hash, body, sequence } of records)
          given.push(recordOf(key, hashOf(hash), `${body}@${sequence}`))
        if (page.ended || page.next > next) positions.push({ shard, next: page.next, ended: page.ended })
      }
      if (positions.length === 0) return
      await simulation.still(
        commit.submit({ rows: group.rowsFor(positions), records: [{ stream: output.id, records: given }] }),
      )
      group.moved(positions)
      simulation.progress++
    })
  }
}

const rowOf = (pick: number) => {
  const row = `row ${pick % 2}`
  return { row, key: Buffer.from(`\x08${row}`, 'latin1') }
}

function rowValue(number: number): Buffer {
  const value = Buffer.alloc(4)
  value.writeUInt32LE(number)
  return value
}
