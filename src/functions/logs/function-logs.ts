import { join } from 'node:path'
import type { Clock, Logger } from '../../runtime/index.js'
import { FunctionLog } from './function-log.js'

export interface FunctionLogsOptions {
  readonly folder: string
  /** Of one function. */
  readonly logBytesMax: number
  readonly clock: Clock
  readonly logger: Logger
}

/** The logs of all functions, each opened when it is first needed. */
export class FunctionLogs {
  readonly #options: FunctionLogsOptions
  readonly #logs = new Map<string, FunctionLog>()

  constructor(options: FunctionLogsOptions) {
    this.#options = options
  }

  of(functionName: string): FunctionLog {
    const known = this.#logs.get(functionName)
    if (known) return known
    const { folder, logBytesMax, clock, logger } = this.#options
    const log = new FunctionLog({ folder: join(folder, functionName), bytesMax: logBytesMax, clock, logger })
    this.#logs.set(functionName, log)
    return log
  }

  async remove(functionName: string): Promise<void> {
    const log = this.of(functionName)
    this.#logs.delete(functionName)
    await log.remove()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.close()))
  }
}
