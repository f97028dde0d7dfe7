import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Random } from '../simulation/random.js'

/** What becomes of a request: its connection is cut, or its bytes come late. */
export const faultKinds = ['cutBefore', 'cutWithin', 'cutAfter', 'silent', 'delayRequest', 'delayAnswer'] as const
export type FaultKind = (typeof faultKinds)[number]

/** A request on its way to the broker. */
export interface SeenRequest {
  /** Number of the API in Kafka's protocol: 0 is Produce, 26 is EndTxn. */
  readonly api: number
}

export interface Fault {
  readonly kind: FaultKind
  /** How long something is held back; of `silent`, until the connection is cut. */
  readonly ms?: number
}

export type Decide = (request: SeenRequest) => Fault | undefined

/** APIs whose lost answers a producer can do the most wrong with. */
export const produceApi = 0
export const endTransactionApi = 26

/** With a chance for each request, one of all faults; the choices follow from the seed. */
export function randomFaults(random: Random, chance: number, msMax = 200): Decide {
  return () => (random.chance(chance) ? { kind: random.pick(faultKinds), ms: random.below(msMax) } : undefined)
}

/**
 * Stands between clients and one broker, which must advertise its address, and spoils connections: it reads where a request
 * of Kafka's protocol begins and ends, so that it can cut before a request, within it, or after the broker has done what it
 * says and before the client hears of it.
 */
export class KafkaProxy {
  /** How often each fault was made. */
  readonly faults = new Map<FaultKind, number>()
  /** Undefined passes everything on. */
  decide: Decide | undefined
  /** The broker's port; there may be another broker behind the same address later. */
  target: number | undefined
  readonly #server: Server
  readonly #links = new Set<Link>()

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (client: Socket) => this.#connected(client))
  }

  static async start(): Promise<KafkaProxy> {
    const server = createServer({ noDelay: true })
    const proxy = new KafkaProxy(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Faults made so far. */
  get made(): number {
    let sum = 0
    for (const count of this.faults.values()) sum += count
    return sum
  }

  /** Cuts every connection that there is. */
  cutAll(): void {
    for (const link of this.#links) link.cut()
  }

  async close(): Promise<void> {
    this.cutAll()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #connected(client: Socket): void {
    if (this.target === undefined) {
      client.destroy()
      return
    }
    const link = new Link(client, this.target, (request) => {
      const fault = this.decide?.(request)
      if (fault) this.faults.set(fault.kind, (this.faults.get(fault.kind) ?? 0) + 1)
      return fault
    })
    this.#links.add(link)
    link.onEnd = () => this.#links.delete(link)
  }
}

/** One connection of a client and the one to the broker that belongs to it. */
class Link {
  onEnd: () => void = () => {}
  readonly #client: Socket
  readonly #broker: Socket
  readonly #decide: Decide
  #requests: Promise<void> = Promise.resolve()
  #answers: Promise<void> = Promise.resolve()
  /** Of the next answer. */
  #answerFault: Fault | undefined
  #isOver = false

  constructor(client: Socket, port: number, decide: Decide) {
    this.#client = client
    this.#decide = decide
    this.#broker = connect({ port, host: '127.0.0.1', noDelay: true })
    for (const socket of [client, this.#broker]) {
      socket.on('error', () => this.cut())
      socket.on('close', () => this.cut())
    }
    const requests = new Frames()
    client.on('data', (data: Buffer) => {
      for (const frame of requests.push(data)) this.#requests = this.#requests.then(() => this.#request(frame))
    })
    const answers = new Frames()
    this.#broker.on('data', (data: Buffer) => {
      for (const frame of answers.push(data)) this.#answers = this.#answers.then(() => this.#answer(frame))
    })
  }

  cut(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#client.destroy()
    this.#broker.destroy()
    this.onEnd()
  }

  async #request(frame: Buffer): Promise<void> {
    if (this.#isOver) return
    const fault = this.#decide({ api: frame.readInt16BE(4) })
    if (fault?.kind === 'cutBefore') return this.cut()
    if (fault?.kind === 'cutWithin') {
      this.#broker.write(frame.subarray(0, frame.length >> 1), () => this.cut())
      return
    }
    if (fault?.kind === 'delayRequest') await pause(fault.ms ?? 0)
    else if (fault) this.#answerFault = fault
    if (!this.#isOver) this.#broker.write(frame)
  }

  async #answer(frame: Buffer): Promise<void> {
    const fault = this.#answerFault
    this.#answerFault = undefined
    if (fault?.kind === 'cutAfter') return this.cut()
    if (fault?.kind === 'silent') {
      await pause(fault.ms ?? 0)
      return this.cut()
    }
    if (fault?.kind === 'delayAnswer') await pause(fault.ms ?? 0)
    if (!this.#isOver) this.#client.write(frame)
  }
}

/** Requests and answers have their length in their first four bytes. */
class Frames {
  #parts: Buffer[] = []
  #bytes = 0
  #wanted = 4

  push(data: Buffer): Buffer[] {
    const frames: Buffer[] = []
    this.#parts.push(data)
    this.#bytes += data.length
    while (this.#bytes >= this.#wanted) {
      let whole = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts)
      while (whole.length >= 4 && whole.length >= 4 + whole.readInt32BE(0)) {
        const end = 4 + whole.readInt32BE(0)
        frames.push(whole.subarray(0, end))
        whole = whole.subarray(end)
      }
      this.#parts = whole.length > 0 ? [whole] : []
      this.#bytes = whole.length
      this.#wanted = whole.length >= 4 ? 4 + whole.readInt32BE(0) : 4
    }
    return frames
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
