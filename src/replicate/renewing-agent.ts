import { Agent, type AgentOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Certificates } from './certificates.js'

/** Connects with the certificates that there are then. Connections that are open keep theirs. */
export class RenewingAgent extends Agent {
  readonly #certificates: Certificates

  constructor(certificates: Certificates, options: AgentOptions) {
    // A session that is resumed would go on with the certificates of the one before.
    super({ ...options, maxCachedSessions: 0 })
    this.#certificates = certificates
  }

  override createConnection(
    options: Parameters<Agent['createConnection']>[0],
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    try {
      return super.createConnection({ ...options, ...this.#certificates.current() }, callback)
    } catch (error) {
      // What is thrown here would end the process where a connection is made for a call that has waited for one.
      callback?.(error as Error, undefined as never)
      return undefined
    }
  }
}
