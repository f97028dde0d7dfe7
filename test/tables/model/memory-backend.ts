import { Counters } from '../../../src/commit/index.js'
import { ShardedLog } from '../../../src/log/index.js'
import { silentLogger } from '../../../src/runtime/index.js'
import { Tables } from '../../../src/tables/index.js'
import { AwsError } from '../../../src/tables/requests/aws-error.js'
import { open } from '../../commit/open-memory.js'
import { logLimits } from '../../log/open-log.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { type Answer, type Backend, type Crash, targetOf } from './backend.js'

const never = new Promise<never>(() => {})
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** What is left to do when a write is held goes on for no more turns of the event loop than this. */
const turnsToRest = 20

async function openRooms(storage: MemoryStorage, folder: string, clock: ManualClock) {
  const { commit, mark } = await open(storage, folder, { clock })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
  const tables = await Tables.open({
    storage,
    commit,
    counters,
    log,
    clock,
    logger: silentLogger,
    region: 'us-east-1',
    accountId: '123456789012',
    eventIdPrefix: () => 'event',
    streamRetentionMs: 24 * 60 * 60 * 1000,
  })
  return { log, tables, mark }
}

/** Tables on a store in memory, whose every synced write outlives a power failure and nothing else does. */
export class MemoryBackend implements Backend {
  readonly #folder: string
  readonly #clock = new ManualClock()
  #storage = new MemoryStorage()
  #rooms!: Awaited<ReturnType<typeof openRooms>>

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(folder: string): Promise<MemoryBackend> {
    const backend = new MemoryBackend(folder)
    backend.#rooms = await openRooms(backend.#storage, folder, backend.#clock)
    return backend
  }

  close(): void {
    this.#rooms.mark.close()
  }

  async ask(operation: string, input: object): Promise<Answer> {
    const body = Buffer.from(JSON.stringify(input))
    try {
      const answer = await this.#rooms.tables.execute(targetOf(operation), operation, body)
      return { error: undefined, message: undefined, body: JSON.parse(answer.toString()) as Answer['body'] }
    } catch (error) {
      if (!(error instanceof AwsError)) throw error
      return { error: error.type.slice(error.type.indexOf('#') + 1), message: error.message, body: error.extra }
    }
  }

  async split(table: string): Promise<void> {
    const { log } = this.#rooms
    const stream = log.streams().find(({ name }) => name === `table:${table}`)
    for (const shard of stream ? log.shards(stream.id) : []) if (shard.state === 'open') await log.split(shard.id)
  }

  async crash(requests: readonly (readonly [string, object])[], how: Crash): Promise<(Answer | undefined)[]> {
    const storage = this.#storage
    let writes = 0
    let held = () => {}
    const isHeld = new Promise<void>((resolve) => {
      held = resolve
    })
    const hold = () => {
      held()
      return never
    }
    storage.beforeWrite = () => (!how.reached && writes++ >= how.writes ? hold() : undefined)
    storage.afterWrite = () => (how.reached && writes++ >= how.writes ? hold() : undefined)
    const answers: (Answer | undefined)[] = requests.map(() => undefined)
    const asked = requests.map(async ([operation, input], i) => {
      answers[i] = await this.ask(operation, input)
    })
    await Promise.race([isHeld, Promise.all(asked)])
    for (let i = 0; i < turnsToRest; i++) await turn()
    const known = [...answers]
    this.#rooms.mark.close()
    this.#storage = storage.afterPowerLoss()
    this.#rooms = await openRooms(this.#storage, this.#folder, this.#clock)
    return known
  }
}
