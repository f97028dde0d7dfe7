import type { BatchEffect, Commit, Decided, EffectSet, RecordEffect, Release, RowEffect } from '../../commit/index.js'
import { Codec, type NewRecord, RecordFlag, RecordKind, type StreamId } from '../../log/index.js'
import type { Catalogue, Table } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import type { Throttle } from '../control/throttle.js'
import { decodeExpiryKey, expiryEffects, expiryKey, expirySecondsOf } from '../expiry/expiry-row.js'
import { checkIndexedItem, indexEffects } from '../indexes/index.js'
import type { HybridClock } from '../replication/hybrid-clock.js'
import { type Replication, takesWrites } from '../replication/members.js'
import { replicatedEffects } from '../replication/replicated-effects.js'
import { tombstoneKey } from '../replication/tombstone.js'
import { conditionFailed, resourceNotFound } from '../requests/aws-error.js'
import { writeUnits } from '../requests/capacity.js'
import { encodeChange, type ImageBytes } from '../streams/change.js'
import { attributeOf, type Item, itemSize } from '../values/index.js'
import {
  encodeItemText,
  type ItemKey,
  itemKey,
  jsonOf,
  keyAttributesOf,
  type StoredItem,
  type StoredVersion,
} from './item-row.js'
import { absent, isSame, type Present, presentOf } from './present.js'

/** What shall become of the row. */
export type Decision =
  /** `updated`: what an update expression wrote of it, for which AWS has other words when it cannot be. */
  | {
      readonly kind: 'put'
      readonly item: Item
      readonly size: number
      readonly updated?: readonly string[]
      readonly remote?: StoredVersion
    }
  /** `byService`: by the daemon itself, since its time to live is over. `remote`: the version of a write of another region. */
  | { readonly kind: 'delete'; readonly byService?: boolean; readonly remote?: StoredVersion }
  /** It stays as it is: what was only to be looked at. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'refuse'; readonly returnItem: boolean }

export interface Written {
  readonly before: Present
  /** The item after it; undefined when it was deleted, or only looked at. */
  readonly after: Item | undefined
  /** Bytes of the larger of the two, by AWS's count. */
  readonly size: number
}

/** A write that is decided already, one of several that do not depend on each other. */
export interface SingleWrite {
  readonly table: string
  /** Checked against the table's key, and the row's key made of them in this turn. */
  readonly keyAttributes: Item
  readonly key: ItemKey
  readonly decision: Decision
}

/** What became of one of several writes. */
export type QueuedWrite =
  /** It is in a commit that gathers. `written` is there when the item as it was has been asked for. */
  | { readonly state: 'queued'; readonly written: Written | undefined }
  /** Somebody else is deciding on its row: it comes later, and resolves when it is durable. */
  | { readonly state: 'waiting'; readonly written: Promise<Written> }
  | { readonly state: 'refused'; readonly reason: unknown }

/** One row among many that are written as one. */
export interface Target {
  readonly table: Table
  /** Its key attributes, checked against the table's key. */
  readonly keyAttributes: Item
  /** Decides on the row. What it throws ends all, with nothing done. */
  readonly decide: (before: Present) => Decision
}

/** Many rows, decided on. */
export interface ManyPrepared {
  /** What was there and what becomes of it, target by target. */
  readonly outcomes: readonly Written[]
  /** Without rows and records when any target was refused. */
  readonly effects: { readonly rows: readonly RowEffect[]; readonly records: readonly (RecordEffect | BatchEffect)[] }
  /** The newest queued commit that the decisions rest on: an answer without an effect waits for it. */
  readonly seen: number | undefined
  /** Lets go of rows and tables; call it when the effects are submitted, or shall not be. */
  readonly release: Release
}

interface Effects {
  readonly rows: readonly RowEffect[]
  readonly records: readonly RecordEffect[]
}

interface Prepared {
  readonly effects: Effects | undefined
}

/** Decides on rows under their latches and queues row and change record as one effect set. */
export class Writer {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #throttle: Throttle
  readonly #clock: HybridClock
  #onExpiry: (table: number, seconds: number) => void = () => {}

  constructor(commit: Commit, catalogue: Catalogue, throttle: Throttle, clock: HybridClock) {
    this.#commit = commit
    this.#catalogue = catalogue
    this.#throttle = throttle
    this.#clock = clock
  }

  /** Tells of each item that is written with a time at which it expires (seconds since 1970). */
  observeExpiry(onExpiry: (table: number, seconds: number) => void): void {
    this.#onExpiry = onExpiry
  }

  /**
   * One write. `needsBefore` is false when neither a condition nor the answer needs the item as it was; the row is latched
   * all the same. Who has made the row's key in this turn already may give it. Resolves when everything that the answer
   * rests on is durable.
   */
  async write(
    name: string,
    keyAttributes: Item,
    needsBefore: boolean,
    decide: (before: Present) => Decision,
    made?: ItemKey,
  ): Promise<Written> {
    const table = this.#catalogue.requested(name)
    this.#throttle.admit(table.row, 'write')
    const shared = table.gate.share()
    const releaseTable = shared instanceof Promise ? await shared : shared
    let read = notRead
    let decision: Decision | undefined
    let fault: unknown
    let durable: Promise<unknown> | undefined
    try {
      if (this.#catalogue.find(name) !== table) throw resourceNotFound()
      const key = made ?? itemKey(table.row.id, table.row.schema, keyAttributes)
      const latched = this.#commit.latch([key.row])
      const release = latched instanceof Promise ? await latched : latched
      try {
        if (needsBefore || needsOldItem(table.row)) read = await this.#read(table, key)
        let effects: Prepared['effects']
        try {
          const decided = decide(read.present)
          effects = this.#prepare(table, key, keyAttributes, read.present, decided, needsBefore).effects
          decision = decided
        } catch (thrown) {
          fault = thrown
        }
        if (effects) durable = this.#commit.submit(effects)
        // An answer without an effect of its own, an error too, waits for what it saw.
        else if (read.seen !== undefined) durable = this.#commit.returned(read.seen)
      } finally {
        release()
      }
    } finally {
      releaseTable()
    }
    const written = decision && writtenOf(read.present, decision)
    if (written) this.#throttle.take(table.row, 'write', writeUnits(written.size))
    if (durable) await durable
    if (!decision || !written) throw fault
    if (decision.kind === 'refuse') throw conditionFailed(decision.returnItem ? read.present.item() : undefined)
    return written
  }

  /**
   * Writes that do not depend on each other, of rows that are not the same: as `write` for each, but with one effect set and
   * without a promise for each, in so far as nobody else is deciding on their rows. Resolves when they are queued; they are
   * done when all of `durable` have resolved.
   */
  async writeEach(
    writes: readonly SingleWrite[],
    needsBefore: boolean,
  ): Promise<{ queued: readonly QueuedWrite[]; durable: readonly Promise<unknown>[] }> {
    const queued: QueuedWrite[] = new Array(writes.length)
    const held: Held[] = []
    let reading: Promise<unknown>[] | undefined
    for (let i = 0; i < writes.length; i++) {
      const write = writes[i] as SingleWrite
      try {
        const table = this.#catalogue.requested(write.table)
        if (!table.gate.isOpen || !this.#commit.latchNow(write.key.name)) {
          const written = this.write(write.table, write.keyAttributes, needsBefore, () => write.decision, write.key)
          written.catch(nothing)
          queued[i] = { state: 'waiting', written }
          continue
        }
        const each: Held = { place: i, table, write, releaseTable: table.gate.share() as Release, found: notRead }
        held.push(each)
        this.#throttle.admit(table.row, 'write')
        if (!needsBefore && !needsOldItem(table.row)) continue
        const found = this.#read(table, write.key)
        if (!(found instanceof Promise)) each.found = found
        else {
          reading ??= []
          reading.push(
            found.then((other) => {
              each.found = other
            }),
          )
        }
      } catch (reason) {
        queued[i] = { state: 'refused', reason }
      }
    }
    try {
      if (reading) await Promise.all(reading)
      const durable = this.#queueHeld(held, needsBefore, queued)
      return { queued, durable }
    } finally {
      for (const { write, releaseTable } of held) {
        this.#commit.unlatch(write.key.name)
        releaseTable()
      }
    }
  }

  /** Queues what is held and not refused yet, in effect sets that are not larger than one large item. */
  #queueHeld(held: readonly Held[], needsBefore: boolean, queued: QueuedWrite[]): Promise<unknown>[] {
    const durable = new Set<Promise<unknown>>()
    let set = new SetOfWrites()
    const submit = () => {
      if (set.effects.length > 0) this.#submitEach(set, durable, queued)
      set = new SetOfWrites()
    }
    for (const each of held) {
      const { place, table, write, found } = each
      if (queued[place]) continue
      try {
        const { effects } = this.#prepare(
          table,
          write.key,
          write.keyAttributes,
          found.present,
          write.decision,
          needsBefore,
        )
        const written = writtenOf(found.present, write.decision)
        queued[place] = needsBefore ? { state: 'queued', written } : queuedUnseen
        if (effects) set.add(each, writeUnits(written.size), effects)
        else {
          this.#throttle.take(table.row, 'write', writeUnits(written.size))
          if (found.seen !== undefined) durable.add(this.#commit.returned(found.seen))
        }
      } catch (reason) {
        queued[place] = { state: 'refused', reason }
        // An error, too, waits for what it saw.
        if (found.seen !== undefined) durable.add(this.#commit.returned(found.seen))
      }
      if (set.bytes >= setBytesMax) submit()
    }
    submit()
    return [...durable]
  }

  /** As one; when there is no room for all, those that find some. */
  #submitEach({ writes, effects, merged }: SetOfWrites, durable: Set<Promise<unknown>>, queued: QueuedWrite[]): void {
    const submit = (set: EffectSet, from: number, to: number) => {
      durable.add(this.#commit.submit(set))
      for (let i = from; i < to; i++) {
        const { held, units } = writes[i] as WriteOfSet
        this.#throttle.take(held.table.row, 'write', units)
      }
    }
    try {
      submit(merged, 0, writes.length)
    } catch {
      writes.forEach(({ held }, i) => {
        try {
          submit(effects[i] as Effects, i, i + 1)
        } catch (reason) {
          queued[held.place] = { state: 'refused', reason }
        }
      })
    }
  }

  /**
   * Deletes an item whose time to live is over: the version that is there under its latch, when that still expires at
   * these seconds. Gives whether it did. An expiry row that no item belongs to goes.
   */
  async expire(table: Table, seconds: number, itemRow: Buffer): Promise<boolean> {
    const shared = table.gate.share()
    const releaseTable = shared instanceof Promise ? await shared : shared
    let durable: Promise<unknown> | undefined
    let isDeleted = false
    try {
      const { row } = table
      const attribute = row.expiry?.attribute
      if (attribute === undefined || !this.#catalogue.has(table)) return false
      if (row.replication && !takesWrites(row.replication)) return false
      const latched = this.#commit.latch([itemRow])
      const release = latched instanceof Promise ? await latched : latched
      try {
        const keyAttributes = keyAttributesOf(itemRow, row.schema)
        const key = itemKey(row.id, row.schema, keyAttributes)
        const { present } = await this.#read(table, key)
        const item = present.item()
        isDeleted = item !== undefined && expirySecondsOf(attributeOf(item, attribute)) === seconds
        const { effects } = isDeleted
          ? this.#prepare(table, key, keyAttributes, present, { kind: 'delete', byService: true }, true)
          : { effects: { rows: [{ key: expiryKey(row.id, seconds, itemRow), value: undefined }] } }
        // Without a record of it, a deletion only gives space back.
        if (effects) durable = this.#commit.submit({ ...effects, essential: row.log === undefined })
      } finally {
        release()
      }
    } finally {
      releaseTable()
    }
    if (durable) await durable
    return isDeleted
  }

  /**
   * Decides on many rows of any tables as on one: the gates of all tables are shared in the order of their ids, then all
   * rows are latched in key order, then all are read, then each is decided on, and the effects of all make one set. So
   * nobody sees some of them changed and others not, and no two such writes, nor a single one, can wait for each other:
   * gates come before latches, and each kind has one order. No row may be a target twice. The caller submits, then releases.
   * Throws ResourceNotFoundException when a table went while its gate was waited for.
   */
  async prepare(targets: readonly Target[]): Promise<ManyPrepared> {
    const releases: Release[] = []
    const release = () => {
      for (const each of releases.splice(0).reverse()) each()
    }
    try {
      const tables = [...new Set(targets.map(({ table }) => table))].sort((a, b) => a.row.id - b.row.id)
      for (const { gate } of tables) releases.push(await gate.share())
      if (tables.some((table) => this.#catalogue.find(table.row.name) !== table)) throw resourceNotFound()
      const keys = targets.map(({ table: { row }, keyAttributes }) => itemKey(row.id, row.schema, keyAttributes))
      releases.push(await this.#commit.latch(keys.map(({ row }) => row)))
      const found = await Promise.all(keys.map((key, i) => this.#read((targets[i] as Target).table, key)))
      const decisions = targets.map(({ decide }, i) => decide((found[i] as Found).present))
      const effects: { rows: RowEffect[]; records: (RecordEffect | BatchEffect)[] } = { rows: [], records: [] }
      if (!decisions.some(({ kind }) => kind === 'refuse')) {
        targets.forEach(({ table, keyAttributes }, i) => {
          const before = (found[i] as Found).present
          const decision = decisions[i] as Decision
          const made = this.#prepare(table, keys[i] as ItemKey, keyAttributes, before, decision, true).effects
          for (const row of made?.rows ?? []) effects.rows.push(row)
          for (const record of made?.records ?? []) effects.records.push(record)
        })
      }
      const outcomes = decisions.map((decision, i) => writtenOf((found[i] as Found).present, decision))
      return { outcomes, effects, seen: newestOf(found), release }
    } catch (error) {
      release()
      throw error
    }
  }

  #read(table: Table, key: ItemKey): Found | Promise<Found> {
    const found = this.#commit.read(key.row)
    if (table.row.replication?.isActive) return this.#findVersion(key, found)
    return found instanceof Promise ? found.then(foundOf) : foundOf(found)
  }

  /** Where there is no item its tombstone says when it went. */
  async #findVersion(key: ItemKey, reading: Decided | Promise<Decided>): Promise<Found> {
    const found = await reading
    if (found.value) return foundOf(found)
    const { value: tombstone, seen } = await this.#commit.read(tombstoneKey(key.row))
    const newest = found.seen === undefined ? seen : Math.max(found.seen, seen ?? 0)
    return { present: tombstone ? { ...absent, tombstone } : absent, seen: newest }
  }

  #prepare(
    table: Table,
    key: ItemKey,
    keyAttributes: Item,
    before: Present,
    decision: Decision,
    hasRead: boolean,
  ): Prepared {
    if (decision.kind === 'refuse' || decision.kind === 'keep') return { effects: undefined }
    const { row } = table
    const old = before.stored
    if (row.replication && !decision.remote && !takesWrites(row.replication)) throw resourceNotFound()
    if (row.replication?.isActive) return { effects: this.#replicated(table, key, keyAttributes, before, decision) }
    if (decision.kind === 'delete') {
      const mayExist = old !== undefined || !(hasRead || needsOldItem(row))
      if (!mayExist) return { effects: undefined }
      const rows = [{ key: key.row, value: undefined }, ...this.#derived(table, key, before, undefined)]
      const flags = decision.byService ? RecordFlag.service : 0
      return {
        effects: {
          rows,
          records:
            row.log === undefined || !old
              ? []
              : this.#record(table, key, keyAttributes, 'remove', undefined, old, flags),
        },
      }
    }
    if (row.indexes) checkIndexedItem(row, decision)
    const value = encodeItemText(JSON.stringify(decision.item), decision.size, this.#clock.next())
    if (old && old.size === decision.size && isSame(old, jsonOf(value), before, decision.item))
      return { effects: undefined }
    const after = { item: decision.item, value }
    const rows: RowEffect[] = [{ key: key.row, value }, ...this.#derived(table, key, before, after)]
    return {
      effects: {
        rows,
        records:
          row.log === undefined
            ? []
            : this.#record(
                table,
                key,
                keyAttributes,
                old ? 'modify' : 'insert',
                { json: jsonOf(value), size: decision.size },
                old,
              ),
      },
    }
  }

  /** What an item's row of another region holds was checked there. */
  #replicated(
    table: Table,
    key: ItemKey,
    keyAttributes: Item,
    before: Present,
    decision: Extract<Decision, { readonly kind: 'put' | 'delete' }>,
  ): Effects | undefined {
    if (table.row.indexes && decision.kind === 'put' && !decision.remote) checkIndexedItem(table.row, decision)
    return replicatedEffects({
      table: table.row.id,
      replication: table.row.replication as Replication,
      key,
      before,
      decision,
      clock: this.#clock,
      time: this.#commit.time,
      isSame: (old, json, item) => isSame(old, json, before, item),
      derived: (after) => this.#derived(table, key, before, after),
      record: (kind, image, flags, version) =>
        table.row.log === undefined
          ? []
          : this.#record(table, key, keyAttributes, kind, image, before.stored, flags, version),
    })
  }

  /** The rows that follow from those of items. */
  #derived(
    { row }: Table,
    key: ItemKey,
    before: Present,
    after: { readonly item: Item; readonly value: Buffer } | undefined,
  ): readonly RowEffect[] {
    if (row.indexes === undefined && row.expiry?.attribute === undefined) return []
    const old = before.item()
    const times = expiryEffects(row, key, old, after?.item)
    for (const { key: made, value } of times) if (value) this.#onExpiry(row.id, decodeExpiryKey(made).seconds)
    return row.indexes ? [...indexEffects(row, key, old, after), ...times] : times
  }

  #record(
    table: Table,
    key: ItemKey,
    keyAttributes: Item,
    kind: 'insert' | 'modify' | 'remove',
    image: ImageBytes | undefined,
    old: StoredItem | undefined,
    flags = 0,
    version?: Buffer,
  ) {
    const kept = this.#catalogue.images(table.row)
    const keys = { json: Buffer.from(JSON.stringify(keyAttributes)), size: itemSize(keyAttributes) }
    const record: NewRecord = {
      hash: key.hash,
      kind: RecordKind[kind],
      flags,
      codec: Codec.dynamoJsonChange,
      time: this.#commit.time.next(),
      key: key.encoded,
      body: encodeChange(keys, kept.new ? image : undefined, kept.old ? old : undefined, version),
    }
    return [{ stream: table.row.log as never, records: [record] }]
  }
}

interface Found {
  readonly present: Present
  readonly seen: number | undefined
}

/** A write whose row is latched. */
interface Held {
  readonly place: number
  readonly table: Table
  readonly write: SingleWrite
  readonly releaseTable: Release
  found: Found
}

/** Enough to be worth one submit; a set may be larger by one item and its images. */
const setBytesMax = 1024 * 1024

interface WriteOfSet {
  readonly held: Held
  readonly units: number
}

/** The effects of several writes. */
class SetOfWrites {
  readonly writes: WriteOfSet[] = []
  readonly effects: Effects[] = []
  bytes = 0

  add(held: Held, units: number, effects: Effects): void {
    this.writes.push({ held, units })
    this.effects.push(effects)
    for (const { value } of effects.rows) this.bytes += value?.length ?? 0
    for (const { records } of effects.records) for (const { body } of records) this.bytes += body.length
  }

  get merged(): EffectSet {
    const rows: RowEffect[] = []
    const records: { readonly stream: StreamId; readonly records: NewRecord[] }[] = []
    for (const effects of this.effects) {
      for (const row of effects.rows) rows.push(row)
      for (const effect of effects.records) {
        const last = records[records.length - 1]
        if (last?.stream === effect.stream) last.records.push(...effect.records)
        else records.push({ stream: effect.stream, records: [...effect.records] })
      }
    }
    return { rows, records }
  }
}

const foundOf = ({ value, seen }: Decided): Found => ({ present: value ? presentOf(value) : absent, seen })
const queuedUnseen: QueuedWrite = { state: 'queued', written: undefined }
const nothing = (): void => {}

function newestOf(found: readonly Found[]): number | undefined {
  let newest: number | undefined
  for (const { seen } of found) if (seen !== undefined && (newest === undefined || seen > newest)) newest = seen
  return newest
}

/** Whether every write must know the item as it was: for its record, or for rows that follow from it. */
const needsOldItem = ({ log, indexes, expiry }: TableRow): boolean =>
  log !== undefined || indexes !== undefined || expiry?.attribute !== undefined

const notRead: Found = { present: absent, seen: undefined }

function writtenOf(before: Present, decision: Decision): Written {
  if (decision.kind === 'put')
    return { before, after: decision.item, size: Math.max(decision.size, before.stored?.size ?? 0) }
  // What was only looked at is not parsed for an answer that does not show it.
  return { before, after: undefined, size: before.stored?.size ?? 0 }
}
