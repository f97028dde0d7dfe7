import { type Staged, stageBackup } from '../backup/index.js'
import type { Config } from '../config/index.js'
import { CodeFolder, FunctionHost, FunctionLogs, type HandlerKey, newHandlerKey } from '../functions/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError, sleep, systemClock } from '../runtime/index.js'
import { WorkerPool } from '../workers/index.js'
import { Ballast } from './ballast.js'
import { afterDaemonEvent, type DaemonEvent, type DaemonPhase } from './daemon-lifecycle.js'
import { DataDirectory } from './data-directory.js'
import { FreeSpaceWatch } from './free-space.js'
import { closeRooms, type FunctionThreads, openRooms, type Rooms } from './rooms.js'

/** A store that fails this often within `reopenWindowMs` stays closed: the disk needs a person. */
export const reopeningsMax = 3
export const reopenWindowMs = 10 * 60 * 1000

/** What it is doing, and why it is not ready. */
export interface DaemonState {
  readonly state: DaemonPhase
  readonly reason?: string
}

export interface DaemonOptions {
  readonly config: Config
  readonly logger: Logger
  readonly clock?: Clock
  /** Called with each new set of rooms, so that the metrics can look into them. */
  readonly onRooms?: (rooms: Rooms) => void
}

/** One data directory, opened; it outlives failed writes by reopening its store. */
export class Daemon {
  readonly config: Config
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #directory: DataDirectory
  readonly #onRooms: (rooms: Rooms) => void
  readonly #space: FreeSpaceWatch
  readonly workers: WorkerPool
  /** What runs functions. */
  readonly functions: FunctionThreads
  /** With it handlers sign; the AWS path takes it whoever else may ask. */
  readonly handlerKey: HandlerKey = newHandlerKey()
  #rooms: Rooms | undefined
  #state: DaemonState = { state: 'starting', reason: 'The store is being opened.' }
  #failures: number[] = []
  #reopening: Promise<void> | undefined

  private constructor(options: DaemonOptions, directory: DataDirectory) {
    this.config = options.config
    this.#logger = options.logger
    this.#clock = options.clock ?? systemClock
    this.#onRooms = options.onRooms ?? (() => {})
    this.#directory = directory
    const { workers, pipelines } = options.config
    this.workers = new WorkerPool({ ...workers, stepTimeoutMs: pipelines.stepTimeoutMs, logger: options.logger })
    this.functions = functionThreads(options.config, directory, this.handlerKey, this.#clock, options.logger)
    const { store, commit } = options.config
    this.#space = new FreeSpaceWatch({
      path: directory.path,
      freeBytesMin: commit.freeBytesMin,
      // RocksDB's log holds two write buffers, and one commit more than fits.
      ballast: new Ballast(directory.ballast, 2 * store.writeBufferBytes + commit.commitBytesMax, options.logger),
      clock: this.#clock,
      logger: options.logger,
      onChange: (full) => {
        if (!this.#rooms) return
        this.#rooms.store.commit.storageFull = full
        // Whatever may go gives its space back now.
        if (full) void this.#rooms.retention.run()
      },
    })
  }

  /** Throws DATA_DIR_FOREIGN, DATA_DIR_NEWER, DATA_DIR_LOCKED, LOG_DAMAGED, STORE_CORRUPT, STORAGE_FULL, IO_FAILED. */
  static async open(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options, DataDirectory.open(options.config.dataDir))
    await daemon.#space.start()
    try {
      await daemon.#open()
    } catch (error) {
      daemon.#met('notOpened', asMillraceError(error).message)
      await daemon.#space.stop()
      await daemon.#closeThreads()
      throw error
    }
    if (options.config.durability === 'relaxed') {
      options.logger.warn('durability is relaxed: a power failure can take back what was acknowledged')
    }
    return daemon
  }

  get state(): DaemonState {
    return this.#state
  }

  get dataDirectory(): string {
    return this.#directory.path
  }

  get storageFull(): boolean {
    return this.#space.full
  }

  /** Free bytes of the data directory's disk, as of the newest look. */
  get freeBytes(): number {
    return this.#space.freeBytes
  }

  /** Throws NOT_READY while the store is closed. */
  get rooms(): Rooms {
    if (this.#rooms) return this.#rooms
    throw new MillraceError('NOT_READY', this.#state.reason ?? 'The daemon is stopping.')
  }

  /**
   * Copies the data directory to `target.partial`, with commits paused while files are linked; `millrace backup` makes a
   * backup of it. Throws as `stageBackup` does.
   */
  stageBackup(target: string): Promise<Staged> {
    const { commit } = this.rooms.store
    return stageBackup({ directory: this.#directory.path, target, commit, clock: this.#clock })
  }

  #met(event: DaemonEvent, reason?: string): void {
    const state = afterDaemonEvent(this.#state.state, event)
    this.#state = { state, ...(reason === undefined ? {} : { reason }) }
  }

  async #open(): Promise<void> {
    this.#space.makeRoom()
    // The path may fail while the rooms are still being built; then this opening is the one that failed.
    let poisoned: MillraceError | undefined
    const rooms = await openRooms({
      config: this.config,
      directory: this.#directory,
      workers: this.workers,
      functions: this.functions,
      clock: this.#clock,
      logger: this.#logger,
      onPoisoned: (error) => {
        poisoned = error
        if (this.#rooms) this.#reopen(error)
      },
    })
    if (poisoned) {
      await this.#drop(rooms)
      throw poisoned
    }
    this.#met('opened')
    if (this.#state.state === 'stopping') {
      await closeRooms(rooms)
      return
    }
    rooms.store.commit.storageFull = this.#space.full
    this.#rooms = rooms
    this.#onRooms(rooms)
  }

  /** After a failed write: every room is dropped, the store is closed and opened as at a start. */
  #reopen(error: MillraceError): void {
    const rooms = this.#rooms
    this.#rooms = undefined
    if (!rooms) return
    this.#logger.error({ code: error.code }, `${error.message} The store is being reopened.`)
    this.#met('writeFailed', error.message)
    this.#reopening = this.#reopenUntilReady(rooms, error).finally(() => {
      this.#reopening = undefined
    })
  }

  async #reopenUntilReady(rooms: Rooms, first: MillraceError): Promise<void> {
    await this.#drop(rooms)
    let reason = first.message
    this.#met('dropped', this.#state.reason)
    while (this.#state.state === 'reopening') {
      const now = this.#clock.monotonic()
      this.#failures = [...this.#failures.filter((at) => now - at < reopenWindowMs), now]
      if (this.#failures.length > reopeningsMax) {
        const why = `The store failed ${this.#failures.length} times within 10 minutes: ${reason}`
        this.#met('tooOften', why)
        this.#logger.error(why)
        return
      }
      try {
        await this.#open()
        this.#logger.info('The store is open again.')
        return
      } catch (error) {
        reason = asMillraceError(error).message
        this.#met('notOpened', first.message)
        this.#logger.error(`The store cannot be reopened: ${reason}`)
        await sleep(this.#clock, 1000)
      }
    }
  }

  async #drop(rooms: Rooms): Promise<void> {
    try {
      await closeRooms(rooms)
    } catch (error) {
      this.#logger.warn(`While the store was being closed: ${asMillraceError(error).message}`)
      await rooms.store.close().catch(() => {})
    }
  }

  /** Finishes what is in flight, syncs and closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#state.state === 'stopping') return
    const rooms = this.#rooms
    this.#met('stop')
    this.#rooms = undefined
    await this.#space.stop()
    await this.#reopening
    try {
      if (rooms) await closeRooms(rooms)
    } catch (error) {
      // A write that fails now must not keep the store open and the process alive.
      await rooms?.store.close()
      throw error
    } finally {
      await this.#closeThreads()
    }
  }

  async #closeThreads(): Promise<void> {
    const { host, logs, code } = this.functions
    await Promise.all([this.workers.close(), host.close()])
    await logs.close()
    await code.close()
  }
}

function functionThreads(
  config: Config,
  directory: DataDirectory,
  key: HandlerKey,
  clock: Clock,
  logger: Logger,
): FunctionThreads {
  const { functionHost, aws, workers } = config
  const logs = new FunctionLogs({
    folder: directory.functionLogs,
    logBytesMax: functionHost.logBytesMax,
    clock,
    logger,
  })
  const { region } = aws
  const { rssBytesMax } = workers
  return {
    host: new FunctionHost({ ...functionHost, rssBytesMax, region, key, logs, clock, logger }),
    code: new CodeFolder(directory.functionCode, functionHost.modulePaths),
    logs,
  }
}
