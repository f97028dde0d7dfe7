/**
 * Says what is wrong with a store, going by what clients were told (journal.ts) and by what lies on the disk (stored.ts).
 * It shares no code with the log: neither formats nor routing nor the rules of groups.
 */
import type { Append, GroupHistory, Journal } from './journal.js'
import type { Stored, StoredRecord, StoredShard } from './stored.js'

const top = 'f'.repeat(16)

/** The order of a key's records is that of its client: `client/key/number`. */
const numberOf = (id: string): number => Number(id.slice(id.lastIndexOf('/') + 1))

export interface CheckOptions {
  /** False for a daemon that does not sync: what was acknowledged may be gone, but no number comes twice. */
  readonly isSynced: boolean
}

/** Everything that is wrong, a sentence each; empty when all is well. */
export function check(stored: Stored, journal: Journal, options: CheckOptions): string[] {
  return [
    ...journal.faults,
    ...ledgerFaults(stored),
    ...layoutFaults(stored),
    ...chunkFaults(stored),
    ...appendFaults(stored, journal, options),
    ...numberFaults(stored, journal),
    ...(options.isSynced ? durableFaults(stored, journal) : []),
    ...[...journal.groups.values()].flatMap((group) => groupFaults(stored, group, options)),
  ]
}

function ledgerFaults({ commits }: Stored): string[] {
  const faults: string[] = []
  for (let i = 1; i < commits.length; i++) {
    const [before, row] = [commits[i - 1]!, commits[i]!]
    if (row.commit !== before.commit + 1) faults.push(`commit ${before.commit + 1} is missing`)
    if (row.first <= before.last) faults.push(`commit ${row.commit} gives numbers of commit ${before.commit} again`)
    if (row.time < before.time) faults.push(`the time of commit ${row.commit} goes back`)
    if (row.epoch < before.epoch) faults.push(`the epoch of commit ${row.commit} goes back`)
  }
  return faults
}

function layoutFaults({ streams, shards }: Stored): string[] {
  const faults: string[] = []
  for (const shard of shards.values()) {
    for (const id of shard.parents) {
      const parent = shards.get(id)
      if (!parent) continue
      if (parent.lastSequence === undefined) faults.push(`shard ${id} has the child ${shard.id} and is open`)
      else if (parent.lastSequence >= shard.firstSequence)
        faults.push(
          `shard ${id} ends at ${parent.lastSequence}, its child ${shard.id} begins at ${shard.firstSequence}`,
        )
      if (!parent.children.includes(shard.id)) faults.push(`shard ${id} does not know its child ${shard.id}`)
      if (parent.high < shard.low || shard.high < parent.low)
        faults.push(`shard ${shard.id} has no key of its parent ${id}`)
    }
  }
  for (const [id, { name, isClosed }] of streams) {
    const open = [...shards.values()].filter((shard) => shard.stream === id && shard.state === 'open')
    faults.push(...rangeFaults(open, name, isClosed))
  }
  return faults
}

/** The open shards of a stream have every key hash once. */
function rangeFaults(open: StoredShard[], name: string, isClosed: boolean): string[] {
  if (isClosed) return open.length > 0 ? [`the closed stream ${name} has an open shard`] : []
  open.sort((a, b) => (a.low < b.low ? -1 : 1))
  let next = 0n
  for (const { id, low, high } of open) {
    if (BigInt(`0x${low}`) !== next)
      return [`stream ${name}: shard ${id} begins at ${low}, the one below it ends elsewhere`]
    next = BigInt(`0x${high}`) + 1n
  }
  return next === BigInt(`0x${top}`) + 1n ? [] : [`stream ${name} has no open shard for its last keys`]
}

function chunkFaults({ chunks, shards }: Stored): string[] {
  const faults: string[] = []
  const owners = new Map<number, number>()
  for (const [id, list] of chunks) {
    const shard = shards.get(id)
    if (!shard) {
      faults.push(`there are records of shard ${id}, which is not there`)
      continue
    }
    let last = shard.firstSequence
    list.forEach((chunk, i) => {
      const isFirstKept = i === 0 && shard.lowWatermark > shard.firstSequence
      if (!isFirstKept && chunk.previous !== last) faults.push(`shard ${id} has a hole before ${chunk.first}`)
      for (const { sequence, hash, body } of chunk.records) {
        if (sequence <= last) faults.push(`${body}: ${sequence} comes after ${last} in shard ${id}`)
        if (shard.lastSequence !== undefined && sequence >= shard.lastSequence)
          faults.push(`${body} at ${sequence} lies behind the end ${shard.lastSequence} of shard ${id}`)
        if (hash < shard.low || hash > shard.high)
          faults.push(`${body} lies in shard ${id}, which does not have its key`)
        if (owners.has(sequence)) faults.push(`${sequence} was given in shards ${owners.get(sequence)} and ${id}`)
        owners.set(sequence, id)
        last = sequence
      }
    })
  }
  return faults
}

function appendFaults(stored: Stored, journal: Journal, { isSynced }: CheckOptions): string[] {
  const faults: string[] = []
  for (const [id, { name }] of stored.streams) {
    if (name.startsWith('out:')) continue
    const records = stored.records(id)
    const found = new Map<string, StoredRecord>()
    for (const record of records) {
      const append = journal.appends.get(record.body)
      if (!append) faults.push(`${record.body} at ${record.sequence} was sent by nobody`)
      else if (append.stream !== name || append.key !== record.key || append.hash !== record.hash)
        faults.push(`${record.body} is not what was sent`)
      else if (append.outcome === 'refused') faults.push(`${record.body} was refused and is there`)
      if (found.has(record.body)) faults.push(`duplicated: ${record.body} at ${record.sequence}`)
      found.set(record.body, record)
    }
    faults.push(...orderFaults(records, `stream ${name}`))
    for (const append of journal.appends.values()) {
      if (append.stream !== name || append.outcome !== 'acknowledged') continue
      const record = found.get(append.id)
      if (!record) {
        if (isSynced && !isTrimmed(stored, id, append)) faults.push(`lost: ${append.id} was acknowledged`)
      } else if (append.placed.length > 0 && !append.placed.some((place) => isIn(record, place)))
        faults.push(`${append.id} at ${record.sequence} is not where its client was told`)
    }
  }
  return faults
}

const isIn = (
  record: StoredRecord,
  { shard, first, count }: { shard: number; first: number; count: number },
): boolean => record.shard === shard && record.sequence >= first && record.sequence < first + count

/** Whether a record may have been trimmed: it lies below a low watermark, or in a shard that is gone. */
function isTrimmed({ shards }: Stored, stream: number, { placed }: Append): boolean {
  const isBelow = (shard: number, sequence: number) => {
    const kept = shards.get(shard)
    return kept ? sequence < kept.lowWatermark : shards.size > 0
  }
  if (placed.length > 0) return placed.some(({ shard, first }) => isBelow(shard, first))
  const kept = [...shards.values()].filter((shard) => shard.stream === stream)
  return kept.some(({ lowWatermark, firstSequence, parents }) => {
    return lowWatermark > firstSequence || parents.some((parent) => !shards.has(parent))
  })
}

/** A number that anyone was told stands for that record alone, also when the record itself is lost. */
function numberFaults(stored: Stored, { appends, reads }: Journal): string[] {
  const owners = new Map<number, string>()
  const faults: string[] = []
  const own = (sequence: number, owner: string) => {
    const before = owners.get(sequence) ?? owner
    if (before !== owner) faults.push(`${sequence} was given to ${before} and to ${owner}`)
    owners.set(sequence, owner)
  }
  for (const [shard, chunks] of stored.chunks)
    for (const { records } of chunks) for (const { sequence, body } of records) own(sequence, `${body} in ${shard}`)
  for (const { shard, records } of reads) for (const { sequence, body } of records) own(sequence, `${body} in ${shard}`)
  const placed = new Map<number, string>()
  for (const append of appends.values()) {
    for (const { shard, first, count } of append.placed) {
      for (let sequence = first; sequence < first + count; sequence++) {
        const owner = owners.get(sequence)
        if (owner !== undefined && !owner.endsWith(` in ${shard}`))
          faults.push(`${sequence} is ${owner}, not of ${shard}`)
        placed.set(sequence, append.id)
      }
    }
  }
  return faults
}

function durableFaults(stored: Stored, journal: Journal): string[] {
  return [...readFaults(stored, journal), ...receiptFaults(stored, journal), ...rowFaults(stored, journal)]
}

/** Rows are only raised, each value once, and none that anybody was told is taken back. */
function rowFaults({ rows }: Stored, { raises, looks }: Journal): string[] {
  const faults: string[] = []
  const raised = new Set<string>()
  for (const { row, to } of raises) {
    if (raised.has(`${row}=${to}`)) faults.push(`${row} was raised to ${to} twice: an update is lost`)
    raised.add(`${row}=${to}`)
    if ((rows.get(row) ?? 0) < to) faults.push(`${row} is ${rows.get(row)}; the raise to ${to} was acknowledged`)
  }
  for (const { row, value } of looks)
    if ((rows.get(row) ?? 0) < value) faults.push(`${row} is ${rows.get(row)}; somebody was told that it is ${value}`)
  return faults
}

/** Records of one key in the order that their client sent them. */
function orderFaults(records: readonly { key: string; body: string }[], where: string): string[] {
  const last = new Map<string, string>()
  const faults: string[] = []
  for (const { key, body } of records) {
    const before = last.get(key)
    if (before !== undefined && numberOf(before) >= numberOf(body))
      faults.push(`${where}: reordered: ${body} comes after ${before}`)
    last.set(key, body)
  }
  return faults
}

/** Nothing that was shown to a reader may go, and between two records that it was shown is nothing else. */
function readFaults(stored: Stored, { reads }: Journal): string[] {
  const faults: string[] = []
  for (const { shard, from, next, records } of reads) {
    const watermark = stored.shards.get(shard)?.lowWatermark ?? Number.POSITIVE_INFINITY
    const kept = (stored.chunks.get(shard) ?? [])
      .flatMap((chunk) => chunk.records)
      .filter(({ sequence }) => sequence >= Math.max(from, watermark) && sequence < next)
      .map(({ sequence, body }) => `${sequence} ${body}`)
    const shown = records
      .filter(({ sequence }) => sequence >= watermark)
      .map(({ sequence, body }) => `${sequence} ${body}`)
    if (kept.join() !== shown.join())
      faults.push(`a reader of shard ${shard} from ${from} to ${next} was shown [${shown}]; there is [${kept}]`)
  }
  return faults
}

function receiptFaults(stored: Stored, { receipts }: Journal): string[] {
  const times = new Map(stored.commits.map(({ commit, time }) => [commit, time]))
  return receipts
    .filter(({ commit, time }) => times.get(commit) !== time)
    .map(({ commit, time }) => `commit ${commit} was acknowledged with the time ${time} and has ${times.get(commit)}`)
}

/** Of what a group was given: `body @ sequence`, one record each in its output stream. */
function groupFaults(stored: Stored, group: GroupHistory, { isSynced }: CheckOptions): string[] {
  const [source, output] = [group.stream, group.output].map(
    (name) => [...stored.streams].find(([, stream]) => stream.name === name)?.[0],
  )
  if (!stored.groups.has(group.name) || source === undefined || output === undefined) return []
  const faults: string[] = []
  const given = stored.records(output).map(({ key, body }) => {
    const [id, , lease] = body.split(/[@#]/)
    return { key, body: id as string, lease: Number(lease ?? Number.POSITIVE_INFINITY) }
  })
  // A group that was moved is given things again; what counts is what came after.
  const since = given.filter(({ lease }) => lease > group.fromLease)
  if (group.isUnknown) return []
  const bodies = new Set<string>()
  for (const { body } of since) {
    if (bodies.has(body)) faults.push(`group ${group.name}: duplicated: ${body}`)
    bodies.add(body)
  }
  faults.push(...orderFaults(since, `group ${group.name}`))
  if (!isSynced) return faults
  for (const record of stored.records(source)) {
    const isDue = isAfterStart(record, group)
    // What is trimmed stays on the disk until it is swept.
    const isKept = record.sequence >= (stored.shards.get(record.shard)?.lowWatermark ?? 0)
    if (isDue === true && isKept && !bodies.has(record.body)) faults.push(`group ${group.name}: lost: ${record.body}`)
    if (isDue === false && bodies.has(record.body))
      faults.push(`group ${group.name} was given ${record.body}, from before its start`)
  }
  return faults
}

/** Undefined where the start and the append ran beside each other, so that both are right. */
function isAfterStart(record: StoredRecord, { start, before, submittedBefore }: GroupHistory): boolean | undefined {
  if (start === 'oldest') return true
  if (start === 'newest') {
    if (before.has(record.body)) return false
    return submittedBefore?.has(record.body) ? undefined : true
  }
  if ('sequence' in start) return record.sequence >= start.sequence
  if (record.commitTime >= start.timeMs) return true
  // A time that is not there yet: the group begins at the end of what is.
  return before.has(record.body) ? false : undefined
}
