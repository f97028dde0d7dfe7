import type { ServerResponse } from 'node:http'
import type { FunctionLog } from '../../functions/index.js'
import { MillraceError } from '../../runtime/index.js'
import { type Call, numberOf, type Route } from './route.js'

/** What a client gets of the log's end when it does not say. */
const bytesDefault = 64 * 1024
/** What may wait for a client that reads slowly; what comes then is left out, and it is told. */
const waitingBytesMax = 1024 * 1024

export const functionLogRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'functions/{name}/logs',
    summary:
      'The newest lines of the log of a function, as text: what its handlers print, and what Lambda writes around each call.',
    query: {
      bytes: `so many bytes at most (${bytesDefault}); 0: none of what is there`,
      follow: 'true: the answer goes on with what comes, until the client or the daemon ends it',
    },
    answer: 'text/plain',
    errors: ['FUNCTION_NOT_FOUND', 'TOO_BUSY'],
    run: showLog,
  },
]

async function showLog({ daemon, names, query, response, stopping }: Call): Promise<undefined> {
  const follow = query.get('follow') ?? 'false'
  if (follow !== 'true' && follow !== 'false') throw new MillraceError('BAD_REQUEST', 'follow is true or false.')
  const bytes = query.has('bytes') ? numberOf(query, 'bytes') : bytesDefault
  const { name } = daemon.rooms.functions.show(names[0] as string)
  const log = daemon.functions.logs.of(name)
  // Nothing is written between the two.
  const following = follow === 'true' ? new Following(log, response, stopping) : undefined
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  response.write(log.newest(bytes))
  if (following) await following.ended
  response.end()
  return undefined
}

/** An answer that goes on with what a log gets. */
class Following {
  readonly #response: ServerResponse
  #left = 0
  readonly ended: Promise<void>

  /** Throws TOO_BUSY. */
  constructor(log: FunctionLog, response: ServerResponse, stopping: AbortSignal) {
    this.#response = response
    let resolve = (): void => {}
    this.ended = new Promise((done) => {
      resolve = done
    })
    const end = (): void => {
      unfollow()
      stopping.removeEventListener('abort', end)
      response.off('close', end)
      resolve()
    }
    const unfollow = log.follow({ take: (text) => this.#take(text), ended: end })
    stopping.addEventListener('abort', end)
    response.on('close', end)
    // It may have come before anybody listened.
    if (stopping.aborted || response.destroyed) end()
  }

  #take(text: string): void {
    if (this.#response.writableLength > waitingBytesMax) {
      this.#left += text.length
      return
    }
    const note = this.#left > 0 ? `... ${this.#left} characters came too fast and are left out here\n` : ''
    this.#left = 0
    this.#response.write(note + text)
  }
}
