import { MillraceError } from '../runtime/index.js'
import { tableDefinition } from './table-definition.js'
import type { BenchTarget } from './types.js'

const recordsAtOnce = 10_000

/** A running daemon: what a client gets, with HTTP between. */
export function overHttp(url: string): BenchTarget {
  const send = async (method: string, path: string, type: string, body?: Buffer, headers: object = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'content-type': type, 'x-millrace': '1', ...headers },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    }).catch((error: unknown) => {
      throw new MillraceError('UNREACHABLE', `No daemon answers at ${url}.`, { cause: error })
    })
    const text = await response.text()
    if (!response.ok) throw new MillraceError('BAD_REQUEST', `${method} ${path} gave ${response.status}: ${text}`)
    return { text, response }
  }
  const call = async <T = unknown>(method: string, path: string, value?: object): Promise<T> => {
    const body = value && Buffer.from(JSON.stringify(value))
    return JSON.parse((await send(method, `/v1/${path}`, 'application/json', body)).text) as T
  }
  const aws = (operation: string, input: object) =>
    send('POST', '/', 'application/x-amz-json-1.0', Buffer.from(JSON.stringify(input)), {
      'x-amz-target': `DynamoDB_20120810.${operation}`,
    })
  return {
    async createStream(name, shards) {
      await call('POST', 'streams', { name, shards })
      await call('PATCH', `streams/${name}`, { policy: { enabled: false } })
    },
    async deleteStream(name) {
      await call('DELETE', `streams/${name}`)
    },
    async createTable(name) {
      await aws('CreateTable', tableDefinition(name))
    },
    async deleteTable(TableName) {
      await aws('DeleteTable', { TableName })
    },
    async append(name, batch) {
      await send('POST', `/v1/streams/${name}/records`, 'application/octet-stream', batch)
    },
    async replay(name) {
      const { shards } = await call<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
      let records = 0
      for (const { id } of shards) {
        let from = ''
        for (;;) {
          const path = `/v1/streams/${name}/records?shard=${id}&limit=${recordsAtOnce}${from}`
          const { text, response } = await send('GET', path, 'application/json', undefined, {
            accept: 'application/x-ndjson',
          })
          if (text === '') break
          for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) records++
          from = `&from=${response.headers.get('x-millrace-next')}`
        }
      }
      return records
    },
    deploy: async (bundle) => (await call<{ name: string }>('POST', 'pipelines', { bundle, start: 'oldest' })).name,
    async deletePipeline(name) {
      await call('DELETE', `pipelines/${name}`)
    },
    lag: async (pipeline) =>
      (await call<{ lag: number }>('GET', `groups/${encodeURIComponent(`pipeline:${pipeline}`)}`)).lag,
    close: async () => {},
  }
}
