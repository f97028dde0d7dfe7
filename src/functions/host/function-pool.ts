import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import type { Clock, Logger } from '../../runtime/index.js'
import type { PlacedCode } from '../code/code-folder.js'
import { environmentOf, type HandlerKey } from './environment.js'
import { FunctionThread } from './function-thread.js'
import type { HostedFunction } from './hosted-function.js'

export interface FunctionPoolOptions {
  readonly function: HostedFunction
  readonly code: PlacedCode
  readonly endpoint: string
  readonly region: string
  readonly key: HandlerKey
  readonly initMsMax: number
  readonly logStreamName: string
  readonly clock: Clock
  readonly logger: Logger
  readonly onText: (text: string, thread: FunctionThread) => void
  readonly onEnd: (thread: FunctionThread) => void
}

/** The threads of one revision of a function: environment and limits of memory are theirs alone. */
export class FunctionPool {
  readonly #options: FunctionPoolOptions
  readonly #piscina: Piscina
  readonly #start: ConstructorParameters<typeof FunctionThread>[0]['start']

  constructor(options: FunctionPoolOptions) {
    this.#options = options
    const { function: hosted, region, key, logStreamName, logger } = options
    const { root } = options.code
    const { memoryMb, concurrency, environment } = hosted.settings
    const logGroupName = `/aws/lambda/${hosted.name}`
    const endpoint = environment.AWS_ENDPOINT_URL ?? options.endpoint
    const named = { functionName: hosted.name, handler: hosted.handler, memoryMb, root, logGroupName, logStreamName }
    this.#start = { ...named, functionArn: hosted.arn, endpoint }
    // Loaded with the first function that is called.
    const { Piscina } = createRequire(import.meta.url)('piscina') as typeof import('piscina')
    this.#piscina = new Piscina({
      filename: threadFile(),
      minThreads: 0,
      maxThreads: concurrency,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: 1,
      // A thread between two tasks must not stand still: it has none, or one that lasts for its life.
      atomics: 'disabled',
      env: environmentOf({ ...named, region, key, endpoint: options.endpoint, environment }),
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    })
    // A thread that ends before it has its task; unheard, its error would end the process.
    this.#piscina.on('error', (error: Error) =>
      logger.warn({ function: hosted.name, error: error.message }, 'A thread of a function could not be started.'),
    )
  }

  start(): FunctionThread {
    const { initMsMax, clock, onText, onEnd } = this.#options
    return new FunctionThread({ pool: this.#piscina, start: this.#start, initMsMax, clock, onText, onEnd })
  }

  /** When the last of its threads has ended. */
  async close(): Promise<void> {
    await this.#piscina.destroy()
    this.#options.code.release()
  }
}

/** In a checkout, tests run the sources and threads what was built of them. */
function threadFile(): string {
  const beside = fileURLToPath(new URL('../thread/entry.js', import.meta.url))
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL('../../../dist/functions/thread/entry.js', import.meta.url))
}
