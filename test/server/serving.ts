import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type ConfigInput, configSchema } from '../../src/config/index.js'
import { Daemon } from '../../src/daemon/index.js'
import { type Clock, Metrics, silentLogger } from '../../src/runtime/index.js'
import { daemonMetrics, Server } from '../../src/server/index.js'
import { temporaryFolder } from '../temporary-folder.js'

/** What answers, and how to ask it. */
export interface Serving {
  readonly daemon: Daemon
  readonly server: Server
  readonly port: number
  readonly url: string
  /** Ends the server and the daemon; a test that does not call it has it done. */
  close(): Promise<void>
  v1(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>
}

export interface Answered {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  /** The body as JSON. */
  readonly json: Record<string, never>
  /** The code of the error, when it is one. */
  readonly code: string | undefined
}

/** A daemon and its server in this process, on a folder and a port of its own, until the test ends. */
export async function serve(input: ConfigInput = {}, clock?: Clock): Promise<Serving> {
  const serving = await serveOn({ dataDir: join(temporaryFolder(), 'data'), ...input }, clock)
  onTestFinished(serving.close)
  return serving
}

/** The same for several tests, which close it. */
export async function serveOn(input: ConfigInput & { readonly dataDir: string }, clock?: Clock): Promise<Serving> {
  const config = configSchema.parse({
    ...input,
    listen: { port: 0, ...input.listen },
    workers: { threads: 1, ...input.workers },
  })
  const metrics = new Metrics('test')
  const observed = daemonMetrics(metrics)
  const daemon = await Daemon.open({
    config,
    logger: silentLogger,
    ...(clock ? { clock } : {}),
    onRooms: (rooms) => observed.onRooms(rooms),
  })
  observed.watch(daemon)
  const server = new Server({ daemon, metrics, logger: silentLogger })
  const { port } = await server.listen()
  const url = `http://127.0.0.1:${port}`
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= server.close().then(() => daemon.close())
    return closing
  }
  return { daemon, server, port, url, close, v1: (...request) => ask(`${url}/v1/`, ...request) }
}

async function ask(
  base: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const response = await fetch(base + path, {
    method,
    headers: { 'content-type': 'application/json', 'x-millrace': '1', ...headers },
    ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
  })
  const text = await response.text()
  const json = (response.headers.get('content-type') === 'application/json' ? JSON.parse(text) : {}) as Answered['json']
  const code = (json as { error?: { code: string } }).error?.code
  return { status: response.status, text, headers: response.headers, json, code }
}
