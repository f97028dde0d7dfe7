import type { Stream, Table, TableIndex } from './answers.js'
import { read } from './api.js'
import { element, pageLink } from './element.js'
import { bytes, count } from './format.js'
import type { Page, Showing } from './page.js'
import { table } from './parts.js'

export const tablesPage: Page = { name: 'tables', title: 'Tables', everyMs: 5000, show }

async function show({ signal }: Showing): Promise<readonly Node[]> {
  const [{ tables }, { streams }] = await Promise.all([
    read<{ tables: readonly Table[] }>('tables', signal),
    read<{ streams: readonly Stream[] }>('streams', signal),
  ])
  const logs = new Set(streams.map((stream) => stream.name))
  return [
    element('h1', {}, 'Tables'),
    table<Table>(
      'Tables',
      [
        { title: 'Table', kind: 'name', cell: ({ name }) => name },
        { title: 'Status', kind: 'text', cell: ({ status }) => status },
        { title: 'Keys', kind: 'name', cell: ({ keys }) => keys },
        { title: 'Billing', kind: 'text', cell: ({ billing }) => billing },
        { title: 'AWS stream', kind: 'text', cell: ({ stream }) => stream ?? 'off' },
        { title: 'Time to live', kind: 'text', cell: ({ ttl }) => ttl ?? 'off' },
        {
          title: 'Items',
          kind: 'number',
          cell: ({ counted }) => (counted ? `${count(counted.items)}, ${bytes(counted.bytes)}` : 'not counted'),
        },
        {
          title: 'Change log',
          kind: 'text',
          cell: ({ name }) => (logs.has(`table:${name}`) ? pageLink('shards', 'shards', `table:${name}`) : 'none yet'),
        },
        { title: 'Resource name', kind: 'name', cell: ({ arn }) => element('code', {}, arn) },
      ],
      tables,
      'There are no tables. They are made over the AWS API.',
    ),
    element('h2', {}, 'Indexes'),
    table<IndexOfTable>(
      'Indexes',
      [
        { title: 'Index', kind: 'name', cell: ({ index }) => index.name },
        { title: 'Table', kind: 'name', cell: ({ of }) => of },
        { title: 'Kind', kind: 'text', cell: ({ index }) => index.kind },
        { title: 'Keys', kind: 'name', cell: ({ index }) => index.keys },
        { title: 'Projection', kind: 'name', cell: ({ index }) => index.projection },
        { title: 'State', kind: 'text', cell: ({ index }) => index.state },
      ],
      tables.flatMap(({ name, indexes }) => indexes.map((index) => ({ of: name, index }))),
      'No table has an index.',
    ),
  ]
}

interface IndexOfTable {
  readonly of: string
  readonly index: TableIndex
}
