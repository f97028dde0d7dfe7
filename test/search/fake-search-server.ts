import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/**
 * `late`: no answer, and the request is carried out when `carryOutLate` is called. `takeAndCrash`: it is carried out and shown, and
 * then the server loses everything that it has not acknowledged, as a real one does that is killed before its sync.
 */
export type Fault =
  | { readonly status: number; readonly text?: string; readonly headers?: Record<string, string> }
  | { readonly items: (i: number) => 429 | 503 | undefined }
  | 'cut'
  | 'takeAndCut'
  | 'takeAndCrash'
  | 'late'
  | 'hang'

interface Stored {
  readonly version: number
  /** undefined: deleted, and remembered. */
  readonly source: unknown
}

/** What a search server does with bulk requests, documents and their external versions, in memory, with faults on demand. */
export class FakeSearchServer {
  readonly all: Asked[] = []
  readonly documents = new Map<string, Stored>()
  readonly templates = new Map<string, unknown>()
  /** Of bulk requests, and of others. */
  fault: (asked: Asked) => Fault | undefined = () => undefined
  otherFault: (asked: Asked) => Fault | undefined = () => undefined
  /** Documents that the mapping does not take. */
  isBad: (source: unknown) => boolean = () => false
  /** Without it, the version of a deleted document is forgotten at once. */
  remembersDeletes = true
  /** The setting of the one index, which is there; undefined: it is not there yet. */
  gcDeletes: string | undefined
  /** What nobody may see: a version that is shown behind a newer one that was shown since the last crash, or acknowledged. */
  readonly stale: string[] = []
  #newest = new Map<string, number>()
  #durable = { documents: new Map<string, Stored>(), newest: new Map<string, number>() }
  readonly #server: Server
  readonly #late: string[] = []
  #scheme = 'http'

  private constructor(tls: { readonly key: string; readonly cert: string } | undefined) {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => this.#answer(request, response, Buffer.concat(parts).toString()))
    }
    this.#server = tls ? createSecureServer(tls, handle) : createServer(handle)
    if (tls) this.#scheme = 'https'
  }

  static async start(tls?: { readonly key: string; readonly cert: string }): Promise<FakeSearchServer> {
    const server = new FakeSearchServer(tls)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** What a search would find. */
  get found(): Record<string, unknown> {
    const there = [...this.documents].filter(([, { source }]) => source !== undefined)
    return Object.fromEntries(there.map(([id, { source }]) => [id, source]).sort())
  }

  get bulks(): readonly Asked[] {
    return this.all.filter(({ path }) => path.startsWith('/_bulk'))
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const { method = '', url: path = '', headers } = request
    const asked = { method, path, headers, body }
    this.all.push(asked)
    const isBulk = path.startsWith('/_bulk')
    const fault = isBulk ? this.fault(asked) : this.otherFault(asked)
    if (fault === 'hang') return
    if (fault === 'late') this.#late.push(body)
    if (fault === 'takeAndCut' || fault === 'takeAndCrash') this.#bulk(body, () => undefined)
    if (fault === 'takeAndCrash') this.#restore()
    if (typeof fault === 'string') return void request.socket.destroy()
    if (fault && 'status' in fault) {
      response.writeHead(fault.status, fault.headers)
      return void response.end(fault.text ?? '')
    }
    const { status, answer } = isBulk
      ? { status: 200, answer: this.#bulk(body, fault?.items ?? (() => undefined)) }
      : this.#other(asked)
    if (isBulk) this.#durable = { documents: new Map(this.documents), newest: new Map(this.#newest) }
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  }

  #restore(): void {
    this.documents.clear()
    for (const [id, stored] of this.#durable.documents) this.documents.set(id, stored)
    this.#newest = new Map(this.#durable.newest)
  }

  /** As if it had never been asked. */
  clear(): void {
    this.documents.clear()
    this.#newest.clear()
    this.#durable = { documents: new Map(), newest: new Map() }
    this.stale.length = 0
    this.all.length = 0
  }

  #other({ method, path, body }: Asked): { status: number; answer: unknown } {
    if (method === 'PUT') {
      this.templates.set(path.split('/').at(-1) as string, JSON.parse(body))
      return { status: 200, answer: { acknowledged: true } }
    }
    if (this.gcDeletes === undefined) return { status: 404, answer: { error: { type: 'index_not_found_exception' } } }
    return { status: 200, answer: { tasks: { settings: { 'index.gc_deletes': this.gcDeletes }, defaults: {} } } }
  }

  #bulk(body: string, statusOf: (i: number) => number | undefined): unknown {
    if (!body.endsWith('\n')) throw new Error('a bulk request ends with a line end')
    const lines = body.slice(0, -1).split('\n')
    const items: object[] = []
    for (let at = 0; at < lines.length; ) {
      const [name, meta] = Object.entries(JSON.parse(lines[at++] as string) as Record<string, Meta>)[0]!
      if (meta.version_type !== 'external_gte') throw new Error(`the version type is ${meta.version_type}`)
      const source = name === 'delete' ? undefined : (JSON.parse(lines[at++] as string) as unknown)
      items.push({ [name]: this.#item(meta, source, statusOf(items.length)) })
    }
    return { errors: items.some((item) => 'error' in (Object.values(item)[0] as object)), items }
  }

  #item({ _id: id, version }: Meta, source: unknown, status: number | undefined): object {
    if (status !== undefined) return { status, error: { type: 'busy_exception', reason: 'not now' } }
    if (source !== undefined && this.isBad(source))
      return { status: 400, error: { type: 'mapper_parsing_exception', reason: `failed to parse ${id}` } }
    const stored = this.documents.get(id)
    if (stored && stored.version > version) {
      const reason = `[${id}]: version conflict, current version [${stored.version}] is higher than the one provided [${version}]`
      return { status: 409, error: { type: 'version_conflict_engine_exception', reason } }
    }
    const newest = this.#newest.get(id) ?? 0
    if (version < newest) this.stale.push(`${id}: ${version} after ${newest}`)
    this.#newest.set(id, Math.max(version, newest))
    if (source !== undefined || this.remembersDeletes) this.documents.set(id, { version, source })
    else this.documents.delete(id)
    return { status: source === undefined && stored?.source === undefined ? 404 : 200 }
  }

  /** What was on its way for long arrives. */
  carryOutLate(): void {
    for (const body of this.#late.splice(0)) this.#bulk(body, () => undefined)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

interface Meta {
  readonly _index: string
  readonly _id: string
  readonly version: number
  readonly version_type: string
}
