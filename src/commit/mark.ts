import { closeSync, existsSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncFolder } from '../runtime/index.js'

/**
 * The side file that remembers the newest commit from outside of the store: RocksDB can lose the tail of its log without
 * an error, and then the ledger inside it ends early without a gap. Two slots of 64 bytes, 4 KiB apart, are written in
 * turn, so that a torn write leaves the other one. It is written before anyone is answered and never synced (that would
 * double the cost of a commit): after a power failure it may be old, which is harmless.
 *
 *   0 "MRMK"   4 version u8   5 durability u8 (1 synced, 0 relaxed)   6 closed cleanly u8   7 0
 *   8 epoch u32   12 crc32 of the other bytes u32   16 commit u64   24 store id, 16 bytes   40..63 zero
 *
 * Of two slots with one commit number the one that says "closed cleanly" counts: a close writes it behind the mark of the
 * last commit, and `open` leaves none standing.
 */
export interface MarkValue {
  readonly commit: number
  readonly synced: boolean
  readonly clean: boolean
  readonly epoch: number
  readonly storeId: string
}

/** Where the two slots lie. */
export interface MarkFile {
  /** What a slot holds, whatever that is; undefined when the file does not reach that far. */
  read(slot: number): Buffer | undefined
  write(slot: number, bytes: Buffer): void
  sync(): void
  close(): void
}

const slotBytes = 64
const slotStride = 4096
const magic = 0x4b4d524d

export class Mark {
  readonly #file: MarkFile
  readonly #slot = Buffer.alloc(slotBytes)
  #turn = 0

  constructor(file: string | MarkFile) {
    this.#file = typeof file === 'string' ? openFile(file) : file
  }

  /** The newest whole slot; undefined when the file is new, torn or damaged in both. */
  read(): MarkValue | undefined {
    const slots = [0, 1].map((index) => this.#readSlot(index))
    const [a, b] = slots
    const isFirst = a && b ? a.commit > b.commit || (a.commit === b.commit && a.clean) : a !== undefined
    const newest = isFirst ? 0 : 1
    this.#turn = 1 - newest
    return slots[newest]
  }

  #readSlot(index: number): MarkValue | undefined {
    const stored = this.#file.read(index)
    if (!stored) return undefined
    const slot = Buffer.from(stored)
    if (slot.readUInt32LE(0) !== magic || slot[4] !== 1) return undefined
    const checksum = slot.readUInt32LE(12)
    slot.writeUInt32LE(0, 12)
    if (crc32(slot) !== checksum) return undefined
    return {
      commit: slot.readUInt32LE(20) * 0x1_0000_0000 + slot.readUInt32LE(16),
      synced: slot[5] === 1,
      clean: slot[6] === 1,
      epoch: slot.readUInt32LE(8),
      storeId: slot.toString('hex', 24, 40),
    }
  }

  /** 5 µs: a synchronous write into the page cache costs less than a turn through the thread pool. */
  write(value: MarkValue): void {
    const slot = this.#slot
    slot.fill(0)
    slot.writeUInt32LE(magic, 0)
    slot[4] = 1
    slot[5] = value.synced ? 1 : 0
    slot[6] = value.clean ? 1 : 0
    slot.writeUInt32LE(value.epoch, 8)
    slot.writeUInt32LE(value.commit >>> 0, 16)
    slot.writeUInt32LE(Math.floor(value.commit / 0x1_0000_0000), 20)
    slot.write(value.storeId, 24, 16, 'hex')
    slot.writeUInt32LE(crc32(slot), 12)
    this.#file.write(this.#turn, slot)
    this.#turn = 1 - this.#turn
  }

  /**
   * The mark of an opening: both slots say that the store is in use. One by one, so that a power failure tears only one;
   * a clean slot that stayed would hide what a relaxed run loses, and its numbers would be given twice.
   */
  open(value: Omit<MarkValue, 'clean'>): void {
    for (let slot = 0; slot < 2; slot++) {
      this.write({ ...value, clean: false })
      this.sync()
    }
  }

  sync(): void {
    this.#file.sync()
  }

  close(): void {
    this.#file.close()
  }
}

function openFile(path: string): MarkFile {
  if (!existsSync(path)) {
    closeSync(openSync(path, 'a'))
    syncFolder(dirname(path))
  }
  const file = openSync(path, 'r+')
  return {
    read(slot) {
      const bytes = Buffer.alloc(slotBytes)
      return readSync(file, bytes, 0, slotBytes, slot * slotStride) === slotBytes ? bytes : undefined
    },
    write: (slot, bytes) => void writeSync(file, bytes, 0, slotBytes, slot * slotStride),
    sync: () => fdatasyncSync(file),
    close: () => closeSync(file),
  }
}
