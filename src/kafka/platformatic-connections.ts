import { isIP } from 'node:net'
import type { Connection, ConnectionOptions, ProtocolError, SASLMechanismValue } from '@platformatic/kafka'
import { MillraceError, systemClock } from '../runtime/index.js'
import { kafkaError } from './kafka-errors.js'
import type { ClusterSecurity } from './security.js'
import { SharedConnection } from './shared-connection.js'
import type { ClusterOptions } from './types.js'

/*
 * Of @platformatic/kafka this driver uses connections and the protocol, not its clients. docs/kafka.md says which faults of those are the
 * reason.
 */
export type Library = typeof import('@platformatic/kafka')

let loading: Promise<Library> | undefined

/** Loaded with the first connection: a daemon that does not use it starts without it. */
export function library(): Promise<Library> {
  loading ??= import('@platformatic/kafka')
  return loading
}

const connectTimeoutMs = 5_000
/** The same with SASL, whose token may have to be asked for first. */
const authenticatedMs = 20_000
/** Until a request without an answer counts as lost. */
export const requestTimeoutMs = 15_000
/** Part of a session's life after which a connection is made anew; what is on its way by the old one has the rest. */
const usedPart = 0.8

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** Where the partitions of a topic are. */
export interface TopicLayout {
  /** By partition, from 0 on. */
  readonly leaders: readonly BrokerAddress[]
}

interface Opening {
  readonly ready: Promise<SharedConnection>
  /** Once it is there. */
  made: SharedConnection | undefined
}

/** Requests of this driver that not every broker knows: of Kafka 3.0. */
const neededVersions: readonly (readonly [request: string, version: number])[] = [
  ['Metadata', 9],
  ['FindCoordinator', 4],
  ['InitProducerId', 4],
  ['AddPartitionsToTxn', 3],
  ['EndTxn', 3],
  ['Produce', 8],
  ['Fetch', 11],
  ['ListOffsets', 7],
  ['OffsetCommit', 8],
  ['OffsetFetch', 8],
  ['CreateTopics', 7],
  ['DescribeConfigs', 4],
]

/** The connections of one client, one to each broker. After a failure it is discarded, and nothing of it reaches a broker any more. */
export class Connections {
  readonly #options: ClusterOptions
  readonly #open = new Map<string, Opening>()
  /** Those that are being made, too. */
  readonly #all = new Set<Connection>()
  /** Why a connection ended; its requests reject with that it was closed. */
  readonly #faults = new WeakMap<Connection, Error>()
  #layouts = new Map<string, TopicLayout>()
  #clusterId = ''
  #isChecked = false
  #discarded = false

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  /** Throws KAFKA_UNAVAILABLE, KAFKA_UNAUTHORIZED, KAFKA_REFUSED when no broker of the list can be used. */
  async toAny(): Promise<Connection> {
    const { brokers } = this.#options
    let failure: unknown
    for (const broker of brokers) {
      try {
        const connection = await this.to(addressOf(broker))
        await this.#check(connection).catch((error: unknown) => {
          // A broker that wants a certificate says so after the handshake.
          throw this.#faults.get(connection) ?? error
        })
        return connection
      } catch (error) {
        failure ??= error
      }
    }
    throw kafkaError(brokerError(failure), `connecting to ${brokers.join(', ')}`, { brokers })
  }

  async to(broker: BrokerAddress): Promise<Connection> {
    const key = `${broker.host}:${broker.port}`
    const known = this.#open.get(key)
    const over = known?.made && systemClock.monotonic() >= known.made.until ? known.made : undefined
    // Without a pause since it was looked up: of several who come at once, one connects.
    const opening = known && !over ? known : this.#begin(key, broker)
    // Others may have requests on their way there.
    over?.retire(() => this.#close(over.connection))
    return (await opening.ready).connection
  }

  #begin(key: string, broker: BrokerAddress): Opening {
    const opening: Opening = { ready: this.#connect(broker), made: undefined }
    this.#open.set(key, opening)
    const forget = (): void => {
      if (this.#open.get(key) === opening) this.#open.delete(key)
    }
    opening.ready.then((made) => {
      opening.made = made
      // Brokers close connections on which nothing comes for a while: the next request makes a new one.
      made.connection.once('close', forget)
    }, forget)
    return opening
  }

  async #connect({ host, port }: BrokerAddress): Promise<SharedConnection> {
    const { Connection } = await library()
    if (this.#discarded) throw new Error('this client was discarded')
    const { security, clientId } = this.#options
    const tls = security?.tls?.()
    const session = security?.sasl && new SaslSession(security.sasl)
    const options: ConnectionOptions = {
      connectTimeout: session ? authenticatedMs : connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      ...(tls ? { tls: { ...(isIP(host) ? {} : { servername: host }), ...tls } } : {}),
      ...(session ? { sasl: session.options } : {}),
    }
    const connection = new Connection(clientId, options)
    this.#all.add(connection)
    // Without a listener an error of a connection that is there would end the process.
    connection.on('error', (error) => this.#faults.set(connection, error))
    connection.once('close', () => this.#all.delete(connection))
    try {
      await connection.connect(host, port)
    } catch (error) {
      this.#close(connection)
      throw session?.failure ?? error
    }
    return new SharedConnection(connection, session?.until ?? Number.POSITIVE_INFINITY)
  }

  /** Throws KAFKA_REFUSED when the broker is too old for this driver. */
  async #check(connection: Connection): Promise<void> {
    if (this.#isChecked) return
    const { apiVersionsV3 } = await library()
    const { apiKeys } = await apiVersionsV3.api.async(connection, 'millrace', '1')
    for (const [request, version] of neededVersions) {
      const known = apiKeys.find(({ name }) => name === request)
      if (known && known.minVersion <= version && version <= known.maxVersion) continue
      throw new MillraceError('KAFKA_REFUSED', `The broker does not know ${request} of version ${version}.`, {
        remedy: 'The driver platformatic needs brokers of version 3.0 or newer: use the driver kafkajs.',
        details: { kafka: 'UNSUPPORTED_VERSION' },
      })
    }
    this.#isChecked = true
  }

  /** Where a topic is, as it was when it was asked for first: after it has moved a request fails, and the client is discarded. */
  async layoutOf(topic: string): Promise<TopicLayout> {
    const known = this.#layouts.get(topic)
    if (known) return known
    const connection = await this.toAny()
    const { metadataV9 } = await library()
    const { brokers, topics, clusterId } = await metadataV9.api.async(connection, [topic], false, false)
    const addresses = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    this.#clusterId = clusterId ?? ''
    const leaders: BrokerAddress[] = []
    for (const { partitionIndex, leaderId } of topics[0]?.partitions ?? []) {
      const leader = addresses.get(leaderId)
      if (!leader)
        throw new MillraceError('KAFKA_UNAVAILABLE', `Kafka: nobody leads partition ${partitionIndex} of ${topic}.`)
      leaders[partitionIndex] = leader
    }
    const layout = { leaders }
    this.#layouts.set(topic, layout)
    return layout
  }

  /** A connection to who coordinates transactions of an id, or a group. */
  async toCoordinator(type: number, key: string): Promise<Connection> {
    return this.to(await this.coordinatorOf(type, key))
  }

  async coordinatorOf(type: number, key: string): Promise<BrokerAddress> {
    const { findCoordinatorV4 } = await library()
    const { coordinators } = await findCoordinatorV4.api.async(await this.toAny(), type, [key])
    const found = coordinators[0]
    if (!found) throw new MillraceError('KAFKA_UNAVAILABLE', `Kafka: there is no coordinator of ${key}.`)
    return { host: found.host, port: found.port }
  }

  /** Asks again where topics are. */
  forgetLayouts(): void {
    this.#layouts = new Map()
  }

  /** As the newest `layoutOf` said. */
  get clusterId(): string {
    return this.#clusterId
  }

  /** Brokers of version 4 pass on what is the controller's; older ones want it to be asked. */
  async toController(): Promise<Connection> {
    const connection = await this.toAny()
    const { metadataV9 } = await library()
    const { brokers, controllerId } = await metadataV9.api.async(connection, [], false, false)
    const controller = brokers.find(({ nodeId }) => nodeId === controllerId)
    return controller ? this.to({ host: controller.host, port: controller.port }) : connection
  }

  #close(connection: Connection): void {
    this.#all.delete(connection)
    connection.close(() => {})
    connection.socket?.destroy()
  }

  /** Nothing of it reaches a broker any more. */
  discard(): void {
    this.#discarded = true
    for (const connection of this.#all) this.#close(connection)
    this.#open.clear()
  }
}

/** `host:port`, as it was checked where it came in. */
function addressOf(broker: string): BrokerAddress {
  const [host, port] = broker.split(':') as [string, string]
  return { host, port: Number(port) }
}

/** One authentication: the mechanism in our own messages, and how long it is good for. */
class SaslSession {
  readonly options: NonNullable<ConnectionOptions['sasl']>
  /** What went wrong; the library wraps it into its own. */
  failure: unknown
  until = Number.POSITIVE_INFINITY

  constructor(sasl: NonNullable<ClusterSecurity['sasl']>) {
    this.options = {
      mechanism: sasl.mechanism.toUpperCase() as SASLMechanismValue,
      authenticate: (_mechanism, connection, api, _username, _password, _token, callback) => {
        let answer: Awaited<ReturnType<typeof api.async>> | undefined
        const exchange = async (message: Buffer): Promise<Buffer> => {
          answer = await api.async(connection, message)
          return answer.authBytes
        }
        sasl.authenticate(exchange).then(
          () => {
            const lifeMs = Number(answer?.sessionLifetimeMs ?? 0n)
            if (lifeMs > 0) this.until = systemClock.monotonic() + lifeMs * usedPart
            // The library would authenticate again among other requests, which brokers take for an attack: it is not told to.
            callback(null, { ...(answer as NonNullable<typeof answer>), sessionLifetimeMs: 0n })
          },
          (error: unknown) => {
            this.failure = brokerError(error)
            callback(error as Error)
          },
        )
      },
    }
  }
}

/** What the broker said in an error of the library: `type` as in the protocol, with the broker's own words; else the first cause. */
export function brokerError(thrown: unknown): unknown {
  if (thrown instanceof MillraceError) return thrown
  const said = protocolErrors(thrown)
  // A record's own fault comes before that of its partition, and has no type.
  const first = said.find(({ apiCode }) => apiCode !== unknownServerError) ?? said[0]
  if (!first) return new Error(firstCause(thrown), { cause: thrown })
  const words = said.map(({ serverErrorMessage }) => serverErrorMessage).find((text) => text)
  return Object.assign(new Error(words ?? first.message, { cause: thrown }), { type: first.apiId as string })
}

const unknownServerError = -1

interface LibraryFault {
  readonly apiId?: unknown
  readonly message?: string
  readonly code?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

function protocolErrors(thrown: unknown, depth = 0): ProtocolError[] {
  if (typeof thrown !== 'object' || thrown === null || depth > 8) return []
  const { apiId, errors, cause } = thrown as LibraryFault
  if (typeof apiId === 'string') return [thrown as ProtocolError]
  return [...(errors ?? []), cause].flatMap((inner) => protocolErrors(inner, depth + 1))
}

/** What is wrapped innermost says most: `connect ECONNREFUSED 127.0.0.1:9092`. */
function firstCause(thrown: unknown, depth = 0): string {
  const { cause, errors, message, code } = (thrown ?? {}) as LibraryFault
  const inner = cause ?? errors?.[0]
  if (typeof inner === 'object' && inner !== null && depth < 8) return firstCause(inner, depth + 1)
  return message || code || String(thrown)
}
