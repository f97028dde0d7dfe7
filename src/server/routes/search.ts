import { checkQuery, type SearchWait, searchLimitMax } from '../../search/index.js'
import { type Call, created, numberOf, ok, type Route } from './route.js'

const shape =
  '{name, table, fields: [path, with ^BOOST behind it], stored: [path], isConfigured: it stands in the configuration, state: "waiting" (for its table), "building", "ready", "full", "failed" or "stopped", reason?, documents, bytes, sequence: everything up to this number is in it, lagRecords}'

export const searchRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'search',
    summary: 'All full-text indexes.',
    answer: '{indexes: [index]}',
    run: ({ daemon }) => ok({ indexes: daemon.rooms.search.list() }),
  },
  {
    method: 'POST',
    path: 'search',
    summary: 'Makes a full-text index of a table and begins to build it: of all items, and then of each change.',
    body: '{name, table, fields: attributes whose text is searched, or paths with dots into maps; `title^3` counts three times, store?: attributes that come with a hit; the fields by default}',
    answer: '201 index',
    errors: ['ALREADY_EXISTS', 'NOT_FOUND', 'CONFLICT', 'TOO_BUSY'],
    run: async ({ daemon, json }) => created(await daemon.rooms.search.create(await json())),
  },
  {
    method: 'GET',
    path: 'search/{index}',
    summary: 'Searches an index; without `q` the answer is the index itself.',
    query: {
      q: 'words; a document is found that has any of them',
      limit: `how many hits, 10 by default, ${searchLimitMax} at most`,
      fields: 'the fields that are searched, with commas; all by default',
      prefix: '`true`: words that begin like one of two letters or more count, too',
      fuzzy:
        '`true`, a number of edits up to 2, or a part of the word below 1: words that differ by no more count, too',
      match: '`all`: only documents with every word',
      wait: 'a sequence number that must be in the index first, or `now`: every write that was answered before this search',
      waitMs: 'how long to wait for that; `search.waitMsMax` by default and at most',
    },
    answer: `{index, sequence: everything up to this number was searched, total, hits: [{key: DynamoDB JSON, score, fields: {path: plain JSON}, terms: [word]}]}, or index: ${shape}`,
    errors: ['NOT_FOUND', 'SEARCH_NOT_READY', 'SEARCH_FULL', 'SEARCH_FAILED', 'TOO_BUSY'],
    run: async (call) => {
      const { search } = call.daemon.rooms
      const name = call.names[0] as string
      if (!call.query.has('q')) return ok(search.show(name))
      return ok({ index: name, ...(await search.index(name).search(queryOf(call), waitOf(call))) })
    },
  },
  {
    method: 'POST',
    path: 'search/{index}/rebuild',
    summary: 'Builds an index again from its table; until that is done it cannot be searched.',
    answer: 'index',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => ok(await daemon.rooms.search.rebuild(names[0] as string)),
  },
  {
    method: 'DELETE',
    path: 'search/{index}',
    summary: 'Deletes an index; the table stays as it is.',
    answer: '{deleted: name}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => {
      await daemon.rooms.search.delete(names[0] as string)
      return ok({ deleted: names[0] })
    },
  },
]

function queryOf({ query }: Call) {
  const text = (name: string): string | undefined => query.get(name) ?? undefined
  return checkQuery({
    q: query.get('q') as string,
    limit: text('limit'),
    fields: text('fields'),
    prefix: text('prefix'),
    fuzzy: text('fuzzy'),
    match: text('match'),
  })
}

function waitOf({ query, daemon }: Call): SearchWait | undefined {
  if (!query.has('wait')) return undefined
  const { waitMsMax } = daemon.config.search
  const ms = query.has('waitMs') ? Math.min(numberOf(query, 'waitMs'), waitMsMax) : waitMsMax
  // What was answered before has a lower number than the next one.
  const sequence = query.get('wait') === 'now' ? daemon.rooms.log.nextSequence() - 1 : numberOf(query, 'wait')
  return { sequence, ms }
}
