import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { Family } from './families.js'
import type { RowEffect } from './types.js'

/** A ledger row goes only when this much was committed after it: far more than RocksDB's log can hold unflushed. */
export const ledgerBytesMin = 512 * 1024 * 1024

export interface LedgerRow {
  readonly commit: number
  /** First and last sequence number; last = first - 1 for a commit without any. */
  readonly first: number
  readonly last: number
  readonly time: number
  readonly bytes: number
  /** The oldest commit whose row is kept. */
  readonly oldest: number
  /** The store's epoch. Sequence numbers follow without a gap within one; they jump when it rises. */
  readonly epoch: number
}

const valueBytes = 56

export function ledgerKey(commit: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = Family.ledger
  key.writeBigUInt64BE(BigInt(commit), 1)
  return key
}

function encode(row: LedgerRow): Buffer {
  const value = Buffer.allocUnsafe(valueBytes)
  value.writeDoubleLE(row.first, 0)
  value.writeDoubleLE(row.last, 8)
  value.writeDoubleLE(row.time, 16)
  value.writeDoubleLE(row.bytes, 24)
  value.writeDoubleLE(row.oldest, 32)
  value.writeDoubleLE(row.commit, 40)
  value.writeDoubleLE(row.epoch, 48)
  return value
}

function decode(key: Buffer, value: Buffer): LedgerRow {
  const commit = Number(key.readBigUInt64BE(1))
  if (value.length !== valueBytes || value.readDoubleLE(40) !== commit)
    throw damaged([commit], commit, 'a row does not say its own number')
  return {
    commit,
    first: value.readDoubleLE(0),
    last: value.readDoubleLE(8),
    time: value.readDoubleLE(16),
    bytes: value.readDoubleLE(24),
    oldest: value.readDoubleLE(32),
    epoch: value.readDoubleLE(48),
  }
}

function damaged(range: readonly number[], newest: number, why: string): MillraceError {
  const [from, to] = [range[0] as number, range[range.length - 1] as number]
  const named = from === to ? `Commit ${from}` : `Commits ${from} to ${to}`
  return new MillraceError('LOG_DAMAGED', `${named} of ${newest} cannot be found: ${why}.`, {
    details: { firstMissing: from, lastMissing: to, newest },
  })
}

/**
 * A row per commit. Numbers are consecutive and so are the sequence numbers, so a commit that the store lost leaves a
 * gap that an opening finds.
 */
export class Ledger {
  #rows: { commit: number; bytes: number }[] = []
  #head = 0
  #bytes = 0
  #newest: LedgerRow | undefined

  /** Reads and checks all rows; LOG_DAMAGED names the commits that are missing. */
  static async open(storage: Storage): Promise<Ledger> {
    const ledger = new Ledger()
    const range = { gte: Buffer.from([Family.ledger]), lt: Buffer.from([Family.ledger + 1]), bytesMax: 1 << 20 }
    let before: LedgerRow | undefined
    let first: LedgerRow | undefined
    for await (const page of storage.scan(range)) {
      for (let i = 0; i < page.keys.length; i++) {
        const row = decode(page.keys[i] as Buffer, page.values[i] as Buffer)
        if (before) {
          if (row.commit !== before.commit + 1) {
            throw damaged([before.commit + 1, row.commit - 1], row.commit, 'the ledger has a gap')
          }
          const follows = row.epoch === before.epoch ? row.first === before.last + 1 : row.first > before.last
          if (!follows) throw damaged([row.commit], row.commit, 'its sequence numbers do not follow')
        }
        first ??= row
        ledger.#add(row)
        before = row
      }
    }
    if (before && first && first.commit > before.oldest) {
      throw damaged([before.oldest, first.commit - 1], before.commit, 'the ledger begins too late')
    }
    // Rows below `oldest` were deleted by a commit that is there; ones that still show are simply kept a little longer.
    return ledger
  }

  get newest(): LedgerRow | undefined {
    return this.#newest
  }

  /** Refuses a ledger that ends before the commit that the mark has seen acknowledged. */
  checkAgainst(markedCommit: number): void {
    const newest = this.#newest?.commit ?? 0
    if (newest < markedCommit) {
      throw damaged([newest + 1, markedCommit], markedCommit, 'they were acknowledged and the ledger ends before them')
    }
  }

  /** The rows that a commit writes: its own, and the deletes of those that are no longer needed. */
  rowsFor(next: Omit<LedgerRow, 'oldest'>): RowEffect[] {
    const deletes: RowEffect[] = []
    while (this.#head < this.#rows.length) {
      const oldest = this.#rows[this.#head] as { commit: number; bytes: number }
      if (this.#bytes - oldest.bytes < ledgerBytesMin) break
      this.#bytes -= oldest.bytes
      this.#head++
      deletes.push({ key: ledgerKey(oldest.commit), value: undefined })
    }
    if (this.#head > 4096) {
      this.#rows = this.#rows.slice(this.#head)
      this.#head = 0
    }
    const row: LedgerRow = { ...next, oldest: this.#rows[this.#head]?.commit ?? next.commit }
    this.#add(row)
    return [{ key: ledgerKey(row.commit), value: encode(row) }, ...deletes]
  }

  #add(row: LedgerRow): void {
    this.#rows.push({ commit: row.commit, bytes: row.bytes })
    this.#bytes += row.bytes
    this.#newest = row
  }
}
