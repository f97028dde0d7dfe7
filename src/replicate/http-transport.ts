import { type AgentOptions, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { request as secureRequest, Agent as UncertifiedAgent } from 'node:https'
import { answeredError, asMillraceError, MillraceError } from '../runtime/index.js'
import { type CertificateFiles, Certificates } from './certificates.js'
import { RenewingAgent } from './renewing-agent.js'
import type { CallName, Calls, Transport } from './types.js'
import { decodeFrame, encodeFrame } from './wire.js'

/** Where another region listens for links. */
export interface RegionAddress {
  /** https://HOST:PORT, or http:// where that is allowed. */
  readonly url: string
  readonly tls?: CertificateFiles
  /** The name in the other side's certificate, where it is not that of the URL. */
  readonly serverName?: string
}

export const callPath = '/replicate/v1/'
/** Who asks. */
export const regionHeader = 'x-millrace-region'
/** Who is meant to be asked. */
export const targetHeader = 'x-millrace-target'
/** An answer that has not come by then is not waited for: the call is made again in another session. */
const callMsMax = 30_000
const answerBytesMax = 16 * 1024 * 1024
const socketsMax = 16

/** Calls over HTTP, with certificates of both sides where the address has them. Connections are kept. */
export class HttpTransport implements Transport {
  readonly #home: string
  readonly #regions: ReadonlyMap<string, RegionAddress>
  readonly #agents = new Map<string, PlainAgent>()

  constructor(home: string, regions: ReadonlyMap<string, RegionAddress>) {
    this.#home = home
    this.#regions = regions
  }

  async call<Name extends CallName>(
    region: string,
    name: Name,
    ask: Calls[Name]['ask'],
    body: Buffer | undefined,
    signal: AbortSignal,
  ): Promise<Calls[Name]['answer']> {
    const address = this.#regions.get(region)
    if (!address)
      throw new MillraceError('REPLICA_UNAVAILABLE', `The region ${region} has no entry under regions any more.`)
    try {
      const answer = await this.#post(region, address, name, encodeFrame(ask, body), signal)
      return decodeFrame(answer).head as Calls[Name]['answer']
    } catch (error) {
      if (error instanceof MillraceError) throw error
      const why = asMillraceError(error).message
      throw new MillraceError('REPLICA_UNAVAILABLE', `The region ${region} does not answer: ${why}`, { cause: error })
    }
  }

  #post(
    region: string,
    { url, serverName }: RegionAddress,
    name: string,
    frame: Buffer,
    signal: AbortSignal,
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const isSecure = url.startsWith('https:')
      const request = (isSecure ? secureRequest : plainRequest)(new URL(callPath + name, url), {
        method: 'POST',
        agent: this.#agentOf(region),
        signal,
        timeout: callMsMax,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': frame.length,
          [regionHeader]: this.#home,
          [targetHeader]: region,
        },
        ...(serverName === undefined ? {} : { servername: serverName }),
      })
      request.on('timeout', () => request.destroy(new Error(`no answer within ${callMsMax / 1000} s`)))
      request.on('error', reject)
      request.on('response', (response) => {
        readAnswer(response).then((answer) => {
          if (response.statusCode === 200) resolve(answer)
          else reject(answeredError(answer.toString()) ?? new Error(`it answered with status ${response.statusCode}`))
        }, reject)
      })
      request.end(frame)
    })
  }

  #agentOf(region: string): PlainAgent {
    const known = this.#agents.get(region)
    if (known) return known
    const { url, tls } = this.#regions.get(region) as RegionAddress
    const options = { keepAlive: true, maxSockets: socketsMax }
    const agent = url.startsWith('https:') ? secureAgent(tls, options) : new PlainAgent(options)
    this.#agents.set(region, agent)
    return agent
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }
}

const secureAgent = (tls: CertificateFiles | undefined, options: AgentOptions): PlainAgent =>
  tls ? new RenewingAgent(new Certificates(tls), options) : new UncertifiedAgent(options)

async function readAnswer(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > answerBytesMax) throw new Error('its answer is too large')
    parts.push(part)
  }
  return Buffer.concat(parts)
}
