import type { Clock, Timer } from '../../runtime/index.js'
import { orOver } from '../signal.js'
import type { ConsumedTopic, FetchedPartition, KafkaConsumerClient } from '../types.js'

/** Bytes that are asked for at once, of all brokers together; twice as many may be at hand. */
export const fetchBytesMax = 4 * 1024 * 1024
const fetchBytesMin = 256 * 1024
/** How long a broker waits for something new before it says that there is nothing. */
export const fetchWaitMs = 500
/** How often a topic is looked at, for more partitions and for others that lead them. */
export const lookMs = 30_000

export interface TopicReadingOptions {
  readonly consumer: KafkaConsumerClient
  readonly name: string
  readonly topic: ConsumedTopic
  /** The next offset of each partition that is read. */
  readonly from: ReadonlyMap<number, number>
  readonly clock: Clock
  readonly lookMs: number
  /**
   * Takes what comes next in some partitions that one broker leads. The next is taken when it has resolved; other brokers' partitions
   * meanwhile.
   */
  readonly take: (fetched: readonly FetchedPartition[]) => Promise<void>
  readonly stop: AbortSignal
}

/** Reads partitions of a topic from given offsets on: a loop for each broker that leads some. */
export class TopicReading {
  readonly #options: TopicReadingOptions
  readonly #next: Map<number, number>
  #isOver = false

  constructor(options: TopicReadingOptions) {
    this.#options = options
    this.#next = new Map(options.from)
  }

  /** Resolves at the stop, or when the topic has changed and is to be opened again. Rejects with the first failure. */
  async run(): Promise<void> {
    const { topic, stop } = this.#options
    let over = (): void => {}
    const isOver = new Promise<undefined>((resolve) => {
      over = () => resolve(undefined)
    })
    stop.addEventListener('abort', over)
    const bytesMax = Math.max(fetchBytesMin, Math.floor(fetchBytesMax / topic.byLeader.length))
    const read = topic.byLeader.map((led) => led.filter((partition) => this.#next.has(partition)))
    const loops = read.flatMap((led) => (led.length === 0 ? [] : [this.#loop(led, bytesMax, orOver(isOver))]))
    const looking = this.#look(orOver(isOver))
    try {
      if (stop.aborted) return
      await Promise.race([isOver, Promise.all([isOver, ...loops]), looking])
    } finally {
      this.#isOver = true
      over()
      stop.removeEventListener('abort', over)
      // What was being taken is taken: nobody may begin again in the midst of it.
      await Promise.allSettled([...loops, looking])
    }
  }

  async #loop(partitions: readonly number[], bytesMax: number, orEnd: OrEnd): Promise<void> {
    let fetching = this.#fetch(partitions, bytesMax)
    fetching.catch(() => {})
    while (!this.#isOver) {
      const fetched = await orEnd(fetching)
      if (this.#isOver || !fetched) return
      const some = fetched.filter(({ partition, next }) => {
        const isSome = next > (this.#next.get(partition) as number)
        if (isSome) this.#next.set(partition, next)
        return isSome
      })
      // The broker puts the next answer together while this one is taken.
      fetching = this.#fetch(partitions, bytesMax)
      fetching.catch(() => {})
      if (some.length > 0) await this.#options.take(some)
    }
  }

  #fetch(partitions: readonly number[], bytesMax: number): Promise<readonly FetchedPartition[]> {
    const { consumer, name } = this.#options
    const from = new Map(partitions.map((partition) => [partition, this.#next.get(partition) as number]))
    return consumer.fetch(name, from, { bytesMax, waitMs: fetchWaitMs })
  }

  /** Resolves when the topic is not as it was. */
  async #look(orEnd: OrEnd): Promise<void> {
    const { consumer, name, topic, clock, lookMs: everyMs } = this.#options
    const before = layoutOf(topic)
    while (!this.#isOver) {
      let timer: Timer | undefined
      const due = new Promise<void>((resolve) => {
        timer = clock.setTimeout(resolve, everyMs)
      })
      await orEnd(due)
      timer?.cancel()
      if (this.#isOver) return
      const now = await orEnd(consumer.describe(name))
      if (layoutOf(now) !== before) return
    }
  }
}

/** What is waited for, or undefined at the end. */
type OrEnd = <T>(working: Promise<T>) => Promise<T | undefined>

const layoutOf = (topic: ConsumedTopic | undefined): string =>
  topic === undefined ? '' : JSON.stringify(topic.byLeader.map((led) => [...led].sort((a, b) => a - b)).sort())
