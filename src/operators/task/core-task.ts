import type { KeySpace } from './key-directory.js'
import type { ParkedQueue } from './parked.js'
import { StageCore } from './stage-core.js'
import type { StageTask, StageTaskOptions, TaskCounters } from './stage-task.js'

/** What tasks of both kinds leave to their core. */
export abstract class CoreTask implements Omit<StageTask, 'start'> {
  protected readonly core: StageCore

  constructor(options: StageTaskOptions, space: KeySpace) {
    this.core = new StageCore(options, space)
  }

  tick(): Promise<void> | undefined {
    return this.nextTick === Number.POSITIVE_INFINITY ? undefined : this.guarded(() => this.core.tick())
  }

  get nextTick(): number {
    return this.core.nextTick
  }

  get isBehind(): boolean {
    return this.core.isBehind
  }

  get isHeld(): boolean {
    return this.core.isHeld
  }

  get hasFired(): boolean {
    return this.core.hasFired
  }

  goOn(): Promise<void> | undefined {
    return this.guarded(() => this.core.goOn())
  }

  committed(barrier: number): void {
    this.core.committed(barrier)
  }

  retry(queues: readonly ParkedQueue[]): Promise<void> {
    return this.guarded(() => this.core.retry(queues))
  }

  counters(): TaskCounters {
    return this.core.counters()
  }

  protected async guarded(run: () => Promise<void> | undefined): Promise<void> {
    try {
      await run()
    } catch (error) {
      throw this.core.failure(error)
    }
  }
}
