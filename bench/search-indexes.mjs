// What bench/search.mjs measures: the index inside of the daemon, and one of a search server that a pipeline keeps.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundleModule } from '../dist/workers/index.js'
import { startSearchServer } from '../test/search/server.mjs'
import { RawClient } from './raw-client.mjs'

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * `find` gives how many documents have any of the words; `found` which of these words, each the first of a title, are found;
 * `caughtUp` resolves when every write so far is.
 */
export async function ownIndex(daemon) {
  await daemon.call('POST', '/v1/search', { name: 'notes', table: 'notes', fields: ['title^2', 'note'] })
  const search = (words, more = '') => daemon.call('GET', `/v1/search/notes?q=${encodeURIComponent(words)}${more}`)
  return {
    most: 'at most 100 ms (p99)',
    askEveryMs: 5,
    find: async (words) => (await search(words)).total,
    async found(words) {
      const { hits } = await search(words.join(' '), `&fields=title&limit=${words.length}`)
      return hits.map(({ fields }) => fields.title.split(' ', 1)[0])
    },
    /** A search waits a bounded time for what was written: behind a long backlog it is asked again. */
    async caughtUp() {
      for (;;) {
        try {
          return await search('anything', '&wait=now')
        } catch (error) {
          if (!error.message.includes('SEARCH_NOT_READY')) throw error
        }
      }
    },
    close: async () => {},
  }
}

/** On this machine, with the refresh that servers have by default. `put` writes an item. */
export async function serverIndex(daemon, folder, put) {
  const server = await startSearchServer({ machine: ['-Xms1g', '-Xmx1g'] })
  const module = join(folder, 'notes.mjs')
  writeFileSync(
    module,
    `import { openSearch, pipeline, table } from 'millrace'
     const text = { type: 'text' }
     export default pipeline('notes').from(table('notes')).to(openSearch('notes',
       ({ type, keys, new: item }) => ({ id: keys.id, document: type === 'remove' ? null : item }),
       { url: '${server.url}', template: {
         settings: { refresh_interval: '1s', number_of_replicas: 0 },
         mappings: { properties: { title: text, note: text } },
       } }))`,
  )
  await daemon.call('POST', '/v1/pipelines', { bundle: await bundleModule(module) })
  const clients = []
  const port = Number(new URL(server.url).port)
  async function search(asked) {
    const client = clients.pop() ?? new RawClient(port)
    const body = Buffer.from(JSON.stringify(asked))
    const answer = await client.request('POST', '/notes/_search', { 'content-type': 'application/json' }, body)
    clients.push(client)
    // The first document makes the index, whose shard is not there at once.
    return answer.status === 200 ? JSON.parse(String(answer.body)).hits : { total: { value: 0 }, hits: [] }
  }
  const find = async (words) => {
    const query = { multi_match: { query: words, fields: ['title^2', 'note'] } }
    return (await search({ query, size: 10, track_total_hits: true })).total.value
  }
  let last = 0
  return {
    most: 'at most 1.5 s (p99): the server refreshes once a second',
    askEveryMs: 25,
    pid: server.pid,
    find,
    async found(words) {
      const query = { match: { title: words.join(' ') } }
      const { hits } = await search({ query, size: words.length, _source: ['title'] })
      return hits.map(({ _source }) => _source.title.split(' ', 1)[0])
    },
    async caughtUp() {
      const word = `last${last++}x`
      await put('last', word)
      while ((await find(word)) === 0) await pause(20)
    },
    async close() {
      const client = clients.pop() ?? new RawClient(port)
      const { body } = await client.request('GET', '/notes/_stats/refresh,indexing', {}, Buffer.alloc(0))
      const { refresh, indexing } = JSON.parse(String(body))._all.total
      console.log(
        `the server: ${refresh.total} refreshes of ${Math.round(refresh.total_time_in_millis / refresh.total)} ms, ${indexing.index_total} documents`,
      )
      for (const each of [client, ...clients]) each.close()
      await server.close()
    },
  }
}
