export interface Broker {
  /** `host:port` of the broker; the same after a restart. */
  readonly address: string
  /** Holds `server.properties`, `broker.log` and the data. */
  readonly directory: string
  readonly pid: number | undefined
  /** Starts it again after `stop` or `kill`; resolves when it is ready. */
  start(): Promise<void>
  /** SIGTERM; resolves when it has ended (about two seconds). */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** `stop`, then `start`. */
  restart(): Promise<void>
  /** `kill`, and its folder is removed when it was a temporary one. */
  close(): Promise<void>
}

export const kafkaVersion: string
/** A `machine` that becomes as fast as it can, for benchmarks. */
export const fullSpeed: readonly string[]
/**
 * Whether java and mvn are there. Prints what is left out when not; throws in CI, where nothing may be left out.
 */
export function kafkaAvailable(): boolean
/** The folder with the broker's jars, fetched with Maven the first time. */
export function brokerJars(version?: string): string
export function startBroker(options?: {
  /** Where the data lie; a temporary folder by default. */
  readonly directory?: string
  /** A free port by default. */
  readonly port?: number
  /** Lines behind those of server.properties, in whose place they are; BROKER_PORT and CONTROLLER_PORT stand for the ports. */
  readonly properties?: string
  /** Users that a new folder is made with, as the broker's format tool takes them. */
  readonly scramUsers?: readonly string[]
  /** `host:port` that clients are told instead of the broker's own: that of a proxy before it. */
  readonly advertised?: string
  /** What Java is told; by default what starts soonest. */
  readonly machine?: readonly string[]
  /** Of Kafka; `kafkaVersion` by default. */
  readonly version?: string
}): Promise<Broker>
