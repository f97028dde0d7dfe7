import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { type SearchServer, startSearchServer } from './server.mjs'

/** What is shown of the outbox of a pipeline's sink. */
export interface OutboxView {
  readonly records: number
  readonly isFull: boolean
  readonly delivered: number
  readonly deadLetters: number
  readonly error?: string
}

interface Hit {
  readonly _id: string
  readonly _version: number
  readonly _source: Record<string, unknown>
}

/** A daemon with the table `notes`, and a real search server. */
export class SearchWorld {
  readonly folder: string
  readonly server: SearchServer
  readonly #env: Readonly<Record<string, string>>
  daemon!: DaemonProcess
  #modules = 0

  private constructor(folder: string, server: SearchServer, env: Readonly<Record<string, string>>) {
    this.folder = folder
    this.server = server
    this.#env = { MILLRACE_LOG_LEVEL: 'warn', MILLRACE_PIPELINES_RETRY_MS: '20', ...env }
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<SearchWorld> {
    ensureBuilt()
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    const world = new SearchWorld(folder, await startSearchServer(), env)
    await world.startDaemon()
    await world.daemon.aws('CreateTable', {
      TableName: 'notes',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    return world
  }

  async startDaemon(): Promise<void> {
    this.daemon = await DaemonProcess.start({ data: join(this.folder, 'data'), env: this.#env })
  }

  async close(): Promise<void> {
    await this.daemon.kill()
    await this.server.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Deploys `notes`: the items of the table as documents of the index `notes`. */
  async deploy(document = 'change.new', options = '', url = this.server.url): Promise<void> {
    const path = join(this.folder, `module-${this.#modules++}.ts`)
    writeFileSync(
      path,
      `import { openSearch, pipeline, table } from 'millrace'
       export default pipeline('notes')
         .from(table<{ id: string }>('notes', { snapshot: true }))
         .to(openSearch('notes', (change) => ({
           id: change.keys.id as string,
           document: change.type === 'remove' ? null : ${document},
         }), {
           url: '${url}',
           template: { mappings: { properties: { n: { type: 'long' } } } },
           retry: { first: '20ms', longest: '200ms' }, breaker: { pause: '100ms' }, timeout: '10s', ${options}
         }))`,
    )
    await this.daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
  }

  put(id: string, n: number | string): Promise<unknown> {
    const value = typeof n === 'number' ? { N: String(n) } : { S: n }
    return this.daemon.aws('PutItem', { TableName: 'notes', Item: { id: { S: id }, n: value } })
  }

  remove(id: string): Promise<unknown> {
    return this.daemon.aws('DeleteItem', { TableName: 'notes', Key: { id: { S: id } } })
  }

  async outbox(): Promise<OutboxView> {
    const { outboxes } = await this.daemon.v1<{ outboxes?: OutboxView[] }>('GET', 'pipelines/notes')
    return outboxes?.[0] ?? { records: -1, isFull: false, delivered: -1, deadLetters: 0 }
  }

  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(`${this.server.url}/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return (await response.json()) as T
  }

  /** All documents, by their ids. */
  async documents(): Promise<Map<string, Hit>> {
    await this.ask('POST', 'notes/_refresh')
    const { hits } = await this.ask<{ hits: { hits: Hit[] } }>('POST', 'notes/_search', {
      size: 10_000,
      version: true,
      query: { match_all: {} },
    })
    return new Map(hits.hits.map((hit) => [hit._id, hit]))
  }
}
