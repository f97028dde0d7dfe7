import { BodyReader } from '../../log/bodies.js'
import { ChunkCursor } from '../../log/format.js'
import type { NodeId } from '../plan/nodes.js'
import { isVisible, type RecordSource, recordSource, recordValue } from '../records.js'
import { CoreTask } from './core-task.js'
import { EventTime } from './event-time.js'
import type { SourceStageTask, StageTaskOptions } from './stage-task.js'
import { newAt, type Push } from './step.js'

/** Opens the task that reads one shard of a source stage. */
export function openSourceTask(options: StageTaskOptions): SourceStageTask {
  return new ShardTask(options)
}

class ShardTask extends CoreTask implements SourceStageTask {
  readonly #root: NodeId
  /** A `through` counts what goes into its stream. */
  readonly #isSource: boolean
  readonly #bodies: BodyReader
  readonly #push: Push
  /** By the records' own times. */
  readonly #eventTime: EventTime
  readonly #at = newAt()
  readonly #until: number
  #isIdle = false
  #isOver = false
  /** The last barrier has passed: nothing fires any more. */
  #isEnded: boolean

  constructor(options: StageTaskOptions) {
    super(options, { kind: 'partition', hashKeyName: options.hashKeyName })
    const stage = options.stages.stages[options.stage]
    if (stage?.kind !== 'source') throw new TypeError(`Stage ${options.stage} reads no source.`)
    this.#root = stage.root
    this.#bodies = options.bodies ?? new BodyReader()
    this.#until = options.until ?? Number.POSITIVE_INFINITY
    this.#isSource = options.plan.nodes[stage.root]?.kind === 'source'
    this.#push = this.core.steps.entry(this.#root)
    this.#eventTime = new EventTime(options.holdsTime ? Number.POSITIVE_INFINITY : 0, this.core.mark(this.#root))
    this.#isEnded = options.isEnded ?? false
    this.#isIdle = options.restored?.watermarks.some(({ node, isIdle }) => node === this.#root && isIdle) ?? false
  }

  async start(): Promise<void> {
    this.#markRoot()
    await this.guarded(() => (this.#isEnded ? this.core.advance() : this.core.start()))
  }

  async process(chunk: Buffer, from: number, to = Number.POSITIVE_INFINITY): Promise<void> {
    const core = this.core
    const until = Math.min(to, this.#until)
    core.begin()
    this.#isIdle = false
    try {
      const cursor = new ChunkCursor(chunk)
      core.runtime.cursor = cursor
      const source = recordSource(chunk, this.#bodies)
      const { host } = core.options
      while (cursor.next()) {
        if (cursor.sequence >= until) break
        if (cursor.sequence < from || !isVisible(cursor)) continue
        const pending = this.#record(cursor, source)
        if (pending) await pending
        const turn = host.align(cursor.sequence) ?? host.turn()
        if (turn) await turn
      }
      const flushed = core.flush()
      if (flushed) await flushed
      await this.#advance()
    } catch (error) {
      throw core.failure(error)
    }
  }

  #record(cursor: ChunkCursor, source: RecordSource): Promise<void> | undefined {
    const { runtime } = this.core
    const at = this.#at
    const { time } = cursor
    at.time = time
    at.sequence = cursor.sequence
    at.stamp = this.#eventTime.watermark
    at.partition = undefined
    this.#eventTime.observe(time)
    if (this.#isSource) runtime.enter(this.#root, at)
    else runtime.mark(this.#root, at)
    return this.#push(recordValue(cursor, source), at)
  }

  #markRoot(): void {
    const watermark = this.#isOver ? Number.POSITIVE_INFINITY : this.#eventTime.watermark
    this.core.setMark(this.#root, watermark, this.#isIdle)
  }

  #advance(): Promise<void> | undefined {
    this.#markRoot()
    return this.core.advance()
  }

  async idle(): Promise<void> {
    if (this.#isIdle || this.#isOver || this.#isEnded) return
    this.#isIdle = true
    // A step that idles holds back no more what others have reached: timers may fire.
    await this.guarded(() => {
      this.core.begin()
      return this.#advance()
    })
  }

  end(): Promise<void> {
    this.#isIdle = false
    this.#isOver = true
    return this.guarded(() => {
      this.core.begin()
      return this.#advance()
    })
  }

  barrier(number: number, isLast: boolean): void {
    if (isLast && !this.core.isBehind) this.#isEnded = true
    const result = this.core.barrier(number, [this.#root])
    this.core.sendBarrier(number)
    this.core.options.host.passed(number, result)
  }

  override get nextTick(): number {
    return this.#isEnded ? Number.POSITIVE_INFINITY : super.nextTick
  }
}
