/** Idempotent producers: clients that send a batch again until they know that it is stored. */
import { encodeBatch, type StreamId, stampProducer } from '../../src/log/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import type { Choice } from './choice.js'
import type { Append } from './journal.js'
import type { Simulation } from './simulation.js'

const producersMax = 2

interface Sent {
  readonly number: number
  /** Each time as the same bytes: its checksum says that it is the same batch. */
  batch: Buffer
  readonly count: number
  readonly entries: readonly Append[]
}

interface Producer {
  readonly name: string
  readonly stream: string
  id: number | undefined
  epoch: number
  last: number
  /** It began to open itself again, and does not know whether its epoch rose. */
  isRestarting: boolean
  /** The one batch in flight. */
  sent: Sent | undefined
}

/** The next records of a client, and what the journal says of them. */
export type MakeRecords = (
  client: string,
  stream: string,
  size: number,
) => {
  records: Parameters<typeof encodeBatch>[0]
  entries: readonly Append[]
}

export class Producers {
  readonly #simulation: Simulation
  readonly #makeRecords: MakeRecords
  readonly #producers: Producer[]

  constructor(simulation: Simulation, streams: readonly string[], makeRecords: MakeRecords) {
    this.#simulation = simulation
    this.#makeRecords = makeRecords
    this.#producers = streams.flatMap((stream) =>
      Array.from({ length: producersMax }, (_, i) => ({
        name: `p${i}`,
        stream,
        id: undefined,
        epoch: 0,
        last: 0,
        isRestarting: false,
        sent: undefined,
      })),
    )
  }

  /** Sends the next batch, or the one again whose answer was lost. */
  produce({ pick, size }: Choice): void {
    const producer = this.#producers[pick % this.#producers.length] as Producer
    const stream = this.#simulation.live.log.streamNamed(producer.stream)
    if (!stream) return
    this.#run(producer, async () => {
      if (producer.id === undefined) await this.#open(producer, stream.id)
      else if (size % 11 === 0 || producer.isRestarting) await this.#restart(producer, stream.id)
      if (!producer.sent) this.#fill(producer, size)
      await this.#send(producer)
    })
  }

  /** Until none waits for an answer. */
  finish(): void {
    for (const producer of this.#producers) {
      if (!producer.sent) continue
      this.#run(producer, async () => {
        const stream = this.#simulation.live.log.streamNamed(producer.stream)
        if (stream && producer.isRestarting) await this.#restart(producer, stream.id)
        await this.#send(producer)
      })
    }
  }

  #run(producer: Producer, run: () => Promise<void>): void {
    const simulation = this.#simulation
    simulation.start(`produce ${producer.stream} ${producer.name}`, async () => {
      try {
        await run()
      } catch (error) {
        const isForgotten = error instanceof MillraceError && /PRODUCER|OUT_OF_ORDER/.test(error.code)
        if (!isForgotten || simulation.isSynced) throw error
        // A daemon that does not sync may have forgotten what it acknowledged; then a client begins anew.
        for (const entry of producer.sent?.entries ?? []) entry.outcome = 'unknown'
        Object.assign(producer, { id: undefined, isRestarting: false, sent: undefined })
      }
    })
  }

  async #open(producer: Producer, stream: StreamId): Promise<void> {
    const { producers } = this.#simulation.live
    const opened = await this.#simulation.still(producers.openProducer(stream))
    Object.assign(producer, { id: opened.producer, epoch: opened.epoch, last: opened.last })
  }

  /** The client starts again and fences the one that it was, whose batch may still be on its way. */
  async #restart(producer: Producer, stream: StreamId): Promise<void> {
    const simulation = this.#simulation
    const { producers, log } = simulation.live
    const old = producer.sent && Buffer.from(producer.sent.batch)
    producer.isRestarting = true
    const opened = await simulation.still(producers.openProducer(stream, producer.id))
    if (old && producer.sent) {
      const { sent } = producer
      if (opened.last >= sent.number) this.#acknowledged(producer, sent)
      else {
        const description = log.stream(stream)
        await simulation.still(
          description &&
            producers.append(description, old, sent.count).then(
              () => simulation.fault(`a batch of the old epoch ${producer.epoch} was taken`),
              (error: MillraceError) => {
                if (!['PRODUCER_FENCED', 'STORE_FAILED', 'NOT_READY'].includes(error.code)) throw error
              },
            ),
        )
        stampProducer(sent.batch, { producer: producer.id as number, number: sent.number, epoch: opened.epoch })
      }
    } else if (simulation.isSynced && opened.last !== producer.last)
      simulation.fault(`the producer ${producer.id} was at ${producer.last} and is at ${opened.last}`)
    if (!producer.sent) producer.last = opened.last
    producer.epoch = opened.epoch
    producer.isRestarting = false
  }

  #fill(producer: Producer, size: number): void {
    const { records, entries } = this.#makeRecords(producer.name, producer.stream, size)
    const number = producer.last + 1
    const batch = encodeBatch(records)
    stampProducer(batch, { producer: producer.id as number, number, epoch: producer.epoch })
    producer.sent = { number, batch, count: records.length, entries }
  }

  async #send(producer: Producer): Promise<void> {
    const { live } = this.#simulation
    const { sent } = producer
    const stream = live.log.streamNamed(producer.stream)
    if (!sent || !stream) return
    const answer = await this.#simulation.still(live.producers.append(stream, Buffer.from(sent.batch), sent.count))
    const placed = 'placed' in answer ? answer.placed : []
    this.#acknowledged(
      producer,
      sent,
      placed.map(({ shard, firstSequence, count }) => ({ shard, first: firstSequence, count })),
    )
  }

  #acknowledged(producer: Producer, sent: Sent, placed: Append['placed'] = []): void {
    for (const entry of sent.entries) Object.assign(entry, { outcome: 'acknowledged', placed })
    producer.last = sent.number
    producer.sent = undefined
  }
}
