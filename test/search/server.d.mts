export interface SearchServer {
  /** Of its HTTP interface; the same after a restart. */
  readonly url: string
  /** Holds `server.log` and the data. */
  readonly directory: string
  readonly pid: number | undefined
  /** Starts it again after `kill`; resolves when it is ready. */
  start(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** `kill`, and its folder is removed when it was a temporary one. */
  close(): Promise<void>
}

export const searchServerVersion: string
/**
 * Whether java and mvn are there. Prints what is left out when not; throws in CI, where nothing may be left out.
 */
export function searchServerAvailable(): boolean
/** The folder with the server's jars, fetched with Maven the first time. */
export function searchServerJars(): string
export function startSearchServer(options?: {
  /** Where the data lie; a temporary folder by default. */
  readonly directory?: string
  /** A free port by default. */
  readonly port?: number
  /** Options of the Java machine: by default those with which a server starts quickly, and is slow at work. */
  readonly machine?: readonly string[]
  readonly settings?: Readonly<Record<string, string | number>>
}): Promise<SearchServer>
