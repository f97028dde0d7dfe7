import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecure, type Server as SecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { asMillraceError, type Logger, MillraceError } from '../runtime/index.js'
import { type CertificateFiles, Certificates } from './certificates.js'
import { callPath, regionHeader, targetHeader } from './http-transport.js'
import { type Answering, type CallName, callNames } from './types.js'
import { decodeFrame, encodeFrame } from './wire.js'

export interface ListenerOptions {
  /** Whose daemon this is. */
  readonly region: string
  readonly host: string
  readonly port: number
  /** Without it connections are plain, and nobody is authenticated. */
  readonly tls?: CertificateFiles
  readonly answer: Answering
  readonly logger: Logger
}

/** One batch, whose changes have 512 KiB and a chunk of the log at most. */
const bodyBytesMax = 32 * 1024 * 1024
const connectionsMax = 256

/**
 * Where the links of other regions come in, apart from what clients ask: with TLS nobody gets so far as to ask whose certificate
 * none of the authorities has signed, and who asks speaks for the region that his certificate names.
 */
export class Listener {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  /** Throws PORT_IN_USE, CONFIG_INVALID. */
  static async open({ region, host, port, tls, answer, logger }: ListenerOptions): Promise<Listener> {
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      respond(request, response, region, answer, tls !== undefined).catch((error: unknown) => {
        logger.debug(`A link's call ended: ${String(error)}`)
        response.destroy()
      })
    }
    const server = tls ? secureServer(new Certificates(tls), onRequest, logger) : createPlain(onRequest)
    server.maxConnections = connectionsMax
    server.on('tlsClientError', (error) => logger.warn(`A link was refused: ${error.message}`))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new MillraceError('PORT_IN_USE', `The port ${port} of replication.listen is taken.`)
            : error,
        ),
      )
      server.listen(port, host, resolve)
    })
    return new Listener(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

/** Each connection meets the certificates that there are then; while the files make no whole, those of before. */
function secureServer(
  certificates: Certificates,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  logger: Logger,
): SecureServer {
  let used = certificates.current()
  const server = createSecure({ ...used, requestCert: true, rejectUnauthorized: true }, onRequest)
  server.prependListener('connection', () => {
    try {
      const present = certificates.current()
      if (present === used) return
      server.setSecureContext(present)
      used = present
      logger.info('The certificates of links were read again.')
    } catch (error) {
      logger.warn(`The certificates of links stay as they were: ${asMillraceError(error).message}`)
    }
  })
  return server
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  region: string,
  answer: Answering,
  isSecure: boolean,
): Promise<void> {
  try {
    const name = nameOf(request)
    const from = request.headers[regionHeader]
    if (typeof from !== 'string') throw new MillraceError('BAD_REQUEST', `The header ${regionHeader} is missing.`)
    checkTarget(request.headers[targetHeader], region)
    if (isSecure) checkRegion((request.socket as TLSSocket).getPeerCertificate(), from)
    const { head, body } = decodeFrame(await readBody(request))
    const answered = encodeFrame(await answer(from, name, head as never, body), undefined)
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': answered.length })
    response.end(answered)
  } catch (error) {
    if (response.headersSent) throw error
    const failure = asMillraceError(error)
    response.writeHead(failure.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(failure))
  }
}

/**
 * An address that is that of another region would have the changes of one region taken for those of the other, and a replica
 * told of where there is none. Daemons of before say nobody. Throws REPLICA_REFUSED.
 */
function checkTarget(target: string | readonly string[] | undefined, region: string): void {
  if (target === undefined || target === region) return
  throw new MillraceError('REPLICA_REFUSED', `The daemon at its address is that of ${region}.`, {
    remedy: `Correct the url of ${String(target)} under regions.`,
  })
}

/** A region is named by the common name of its certificate, or by a DNS name in it. Throws FORBIDDEN. */
function checkRegion({ subject, subjectaltname = '' }: PeerCertificate, region: string): void {
  const names = [subject?.CN, ...subjectaltname.split(', ').map((name) => name.replace(/^DNS:/, ''))].flat()
  if (names.includes(region)) return
  throw new MillraceError('FORBIDDEN', `The certificate of a link does not name the region ${region}.`, {
    remedy: `Give the daemon of ${region} a certificate with ${region} as its common name, or among its DNS names.`,
  })
}

/** Throws NOT_FOUND. */
function nameOf({ method, url }: IncomingMessage): CallName {
  const name = callNames.find((each) => url === callPath + each)
  if (!name || method !== 'POST') throw new MillraceError('NOT_FOUND', 'Links of other regions call here, nobody else.')
  return name
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > bodyBytesMax)
      throw new MillraceError('TOO_LARGE', `A call of a link has more than ${bodyBytesMax} bytes.`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
