import type { CommittedMessage, KafkaCluster, KafkaMessage, NewTopic, TopicDescription } from '../../src/kafka/index.js'
import { type Messages, unpacked } from '../../src/kafka/packed-messages.js'
import type { MessagesToSend } from '../../src/kafka/types.js'
import { MillraceError } from '../../src/runtime/index.js'
import { FakeTopics } from './fake-topics.js'

export const away = (): MillraceError =>
  new MillraceError('KAFKA_UNAVAILABLE', 'nobody answers', { outcome: 'unknown' })
export const tooLarge = (): MillraceError =>
  new MillraceError('KAFKA_REFUSED', 'too large', { details: { kafka: 'MESSAGE_TOO_LARGE' }, remedy: 'Raise it.' })

/** A broker in memory whose faults are chosen by the test. For the bridge's own logic; the rest needs a real one. */
export class FakeCluster implements KafkaCluster {
  readonly topics = new Map<string, TopicDescription>()
  readonly log: KafkaMessage[] = []
  producers = 0
  /** Producers that are neither closed nor discarded. */
  open = 0
  up = true
  /** Called before each send; what it throws is the answer, after `log` took as many messages as it says. */
  onSend: (messages: readonly KafkaMessage[], send: number) => { error: MillraceError; stored: number } | undefined =
    () => undefined
  sends = 0
  /** A send waits for it. */
  gate: Promise<void> = Promise.resolve()
  /** Whether a send is waiting for it. */
  atGate = false

  /** What committed transactions have sent, by topic. */
  readonly committed = new Map<string, KafkaMessage[]>()
  /** Called before each commit; what it throws is the answer, after the transaction was committed or not. */
  onCommit: (commit: number) => { error: MillraceError; committed: boolean; isOpen?: boolean } | undefined = () =>
    undefined
  /** Where open transactions whose producer is gone begin in each topic, by their id: readers of what is committed come no further. */
  readonly #hanging = new Map<string, Map<string, number>>()
  commits = 0
  /** The newest producer of each transactional id. */
  readonly #newest = new Map<string, object>()

  messages(topic: string): readonly KafkaMessage[] {
    return this.committed.get(topic) ?? []
  }

  async connectTransactionalProducer(id: string) {
    if (!this.up) throw away()
    this.producers++
    this.open++
    const self = {}
    let state: 'idle' | 'busy' | 'failed' | 'gone' = 'idle'
    let pending: { topic: string; message: KafkaMessage }[] | undefined
    const leave = (): void => {
      if (state !== 'gone') this.open--
      state = 'gone'
    }
    /** One call; a rejection ends the producer. */
    const call = async (work: () => void | Promise<void>): Promise<void> => {
      if (state !== 'idle') throw new Error(`a producer was used while it was ${state}`)
      state = 'busy'
      try {
        await this.gate
        if (!this.up) throw away()
        await work()
        if (state === 'busy') state = 'idle'
      } catch (error) {
        if (state === 'busy') state = 'failed'
        throw error
      }
    }
    const checkNewest = (): void => {
      if (this.#newest.get(id) !== self) throw away()
    }
    return {
      begin: () =>
        call(() => {
          // The first transaction fences the producers before it.
          if (!pending && !this.#began.has(self)) {
            this.#newest.set(id, self)
            this.#hanging.delete(id)
          }
          this.#began.add(self)
          checkNewest()
          pending = []
        }),
      send: (topic: string, sent: MessagesToSend) =>
        call(() => {
          const messages = unpacked(sent as Messages)
          checkNewest()
          const fault = this.onSend(messages, ++this.sends)
          if (fault) throw fault.error
          pending?.push(...messages.map((message) => ({ topic, message })))
        }),
      commit: () =>
        call(() => {
          checkNewest()
          const fault = this.onCommit(++this.commits)
          if (!fault || fault.committed)
            for (const { topic, message } of pending ?? [])
              this.committed.set(topic, [...this.messages(topic), message])
          if (fault?.isOpen)
            this.#hanging.set(id, new Map((pending ?? []).map(({ topic }) => [topic, this.messages(topic).length])))
          pending = undefined
          if (fault) throw fault.error
        }),
      close: async () => leave(),
      discard: leave,
    }
  }

  readonly #began = new WeakSet<object>()

  async readCommitted(topic: string, take: (message: CommittedMessage) => boolean) {
    if (!this.up) throw away()
    for (const message of this.#stable(topic)) if (take(message)) return
    throw away()
  }

  async readCommittedSoFar(topic: string, take: (message: CommittedMessage) => void) {
    if (!this.up) throw away()
    for (const message of this.#stable(topic)) take(message)
  }

  #stable(topic: string): readonly KafkaMessage[] {
    const begins = [...this.#hanging.values()].map((topics) => topics.get(topic) ?? Number.POSITIVE_INFINITY)
    return this.messages(topic).slice(0, Math.min(Number.POSITIVE_INFINITY, ...begins))
  }

  /** What can be read. */
  readonly inbound = new FakeTopics()

  connectConsumer() {
    return this.inbound.connectConsumer()
  }

  async connectAdmin() {
    if (!this.up) throw away()
    return {
      describeTopic: async (topic: string) => this.topics.get(topic),
      createTopic: async (topic: string, { partitions, config }: NewTopic) => {
        this.topics.set(topic, { partitions, messageBytesMax: undefined, config })
      },
      close: async () => {},
    }
  }

  async connectProducer() {
    if (!this.up) throw away()
    this.producers++
    this.open++
    let state: 'idle' | 'sending' | 'failed' | 'gone' = 'idle'
    const leave = (): void => {
      if (state !== 'gone') this.open--
      state = 'gone'
    }
    return {
      send: async (topic: string, sent: MessagesToSend) => {
        const messages = unpacked(sent as Messages)
        if (state !== 'idle') throw new Error(`a producer was used while it was ${state}`)
        state = 'sending'
        this.atGate = true
        await this.gate
        this.atGate = false
        const fault = this.up ? this.onSend(messages, ++this.sends) : { error: away(), stored: 0 }
        const stored = messages.slice(0, fault?.stored ?? messages.length)
        this.log.push(...stored)
        this.committed.set(topic, [...this.messages(topic), ...stored])
        if (state === 'sending') state = fault ? 'failed' : 'idle'
        if (fault) throw fault.error
      },
      close: async () => leave(),
      discard: leave,
    }
  }
}

/** What a process sees of a cluster: once it is killed, nothing that it does arrives and nothing is answered. */
export function seenBy(cluster: FakeCluster, life: { killed: boolean }): KafkaCluster {
  const orNever = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, name) => {
        const member = object[name as keyof T]
        if (typeof member !== 'function') return member
        return (...given: unknown[]) => {
          if (name === 'discard') return member.apply(object, given)
          if (life.killed) return new Promise(() => {})
          return Promise.resolve(member.apply(object, given)).then((answer) => {
            if (life.killed) return new Promise(() => {})
            return typeof answer === 'object' && answer !== null ? orNever(answer) : answer
          })
        }
      },
    })
  return orNever(cluster as KafkaCluster)
}
