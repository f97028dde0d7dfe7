import { type CommitPath, Family, type RowEffect } from '../../commit/index.js'
import type { Group, Position } from '../../groups/index.js'
import type { Sequence, ShardId } from '../../log/index.js'
import { type Clock, killPoint, type Timer } from '../../runtime/index.js'
import type { Checkpoint, OpenWindow } from './core/index.js'

/**
 * Between two commits of positions. Each is a synced write, and what it saves is repeated invocations after a crash; the
 * end of a shard is written at once, since its children wait for it.
 */
export const positionIntervalMs = 50

/** States of windows that one commit takes, bytes, and one state whatever it has: all together may be more than a commit takes. */
export const commitBytesMax = 4 * 1024 * 1024

/** After a commit that failed, ms. */
const retryMs = 1000

const version = 1

/** `mappingWindow`: family, mapping (16 bytes), shard u32be -> version u8, JSON {start, state, isEarly}. */
export function windowKey(mapping: string, shard: ShardId): Buffer {
  const key = Buffer.alloc(21)
  key[0] = Family.mappingWindow
  idBytes(mapping).copy(key, 1)
  key.writeUInt32BE(shard, 17)
  return key
}

export const idBytes = (mapping: string): Buffer => Buffer.from(mapping.replaceAll('-', ''), 'hex')

const windowRow = (mapping: string, shard: ShardId, window: OpenWindow | undefined): RowEffect => ({
  key: windowKey(mapping, shard),
  value: window && Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(window))]),
})

export const decodeWindow = (value: Buffer): OpenWindow => JSON.parse(value.toString('utf8', 1)) as OpenWindow

export interface CheckpointsOptions {
  readonly mapping: string
  readonly group: Group
  readonly commit: Pick<CommitPath, 'submit'>
  readonly clock: Clock
  /** Windows that are stored, by shard. */
  readonly windows: Map<ShardId, OpenWindow>
  /** Rows for the next commit: of the mapping itself, when it has changed. */
  readonly rows: () => readonly RowEffect[]
  /** A commit has returned in which shards came to their ends. */
  readonly onEnded: () => void
  readonly onFailure: (error: unknown) => void
}

/**
 * Makes durable how far the shards of a mapping are: position and tumbling window in one commit, so that a state never holds
 * more or less than what lies before its position. One commit is in flight, with the newest of each shard.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions
  #due = new Map<ShardId, Checkpoint>()
  #writing: Promise<void> | undefined
  #timer: Timer | undefined
  #isClosed = false
  /** The newest commit failed: what was due is still due. */
  #failed = false

  constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  moved(shard: ShardId, checkpoint: Checkpoint): void {
    if (this.#isClosed || !this.#isNews(shard, checkpoint)) return
    this.#due.set(shard, checkpoint)
    if (checkpoint.isEnded && !this.#failed) this.#write()
    else if (!this.#timer && !this.#writing) this.#schedule()
  }

  #isNews(shard: ShardId, { next, isEnded, window }: Checkpoint): boolean {
    const { group, windows } = this.#options
    const known = this.#due.get(shard)
    if (known) return known.next !== next || known.isEnded !== isEnded || known.window !== window
    const position = group.position(shard)
    return position?.next !== next || position.ended !== isEnded || windows.get(shard) !== window
  }

  /** Resolves when everything so far is durable, or the write has failed. */
  async flush(): Promise<void> {
    await this.#writing
    this.#failed = false
    while (this.#writing || (this.#due.size > 0 && !this.#failed && !this.#isClosed)) {
      this.#write()
      await this.#writing
    }
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** What comes later is not written any more. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimeout(
      () => {
        this.#timer = undefined
        this.#write()
      },
      this.#failed ? retryMs : positionIntervalMs,
    )
  }

  #write(): void {
    if (this.#writing || this.#isClosed || this.#due.size === 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    const due = this.#part()
    this.#writing = this.#commit(due).finally(() => {
      this.#writing = undefined
      if (this.#due.size === 0 || this.#isClosed) return
      if (!this.#failed && [...this.#due.values()].some(({ isEnded }) => isEnded)) this.#write()
      else if (!this.#timer) this.#schedule()
    })
  }

  /** Takes what goes into the next commit, oldest first. */
  #part(): ReadonlyMap<ShardId, Checkpoint> {
    const part = new Map<ShardId, Checkpoint>()
    let bytes = 0
    for (const [shard, checkpoint] of this.#due) {
      const { window } = checkpoint
      if (window && this.#options.windows.get(shard) !== window) bytes += Buffer.byteLength(window.state)
      if (part.size > 0 && bytes > commitBytesMax) break
      part.set(shard, checkpoint)
      this.#due.delete(shard)
    }
    return part
  }

  async #commit(due: ReadonlyMap<ShardId, Checkpoint>): Promise<void> {
    const { mapping, group, commit, windows, rows, onEnded, onFailure } = this.#options
    const positions: Position[] = []
    const changed: RowEffect[] = []
    for (const [shard, { next, isEnded, window }] of due) {
      positions.push({ shard, next: next as Sequence, ended: isEnded })
      if (windows.get(shard) !== window) changed.push(windowRow(mapping, shard, window))
    }
    try {
      await commit.submit({ rows: [...group.rowsFor(positions), ...changed, ...rows()], essential: true })
      this.#failed = false
      group.moved(positions)
      for (const [shard, { window }] of due) {
        if (window) windows.set(shard, window)
        else windows.delete(shard)
      }
      killPoint('mapping:moved')
      if (positions.some(({ ended }) => ended)) onEnded()
    } catch (error) {
      this.#failed = true
      // At the end, so that one that cannot be written does not keep the others; what is newer stays.
      for (const [shard, checkpoint] of due) if (!this.#due.has(shard)) this.#due.set(shard, checkpoint)
      onFailure(error)
    }
  }
}
