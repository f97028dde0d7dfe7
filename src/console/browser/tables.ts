import type { Stream, Table } from './answers.js'
import { read } from './api.js'
import { element, pageLink } from './element.js'
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
        { title: 'Keys', kind: 'name', cell: ({ keys }) => keys },
        { title: 'Billing', kind: 'text', cell: ({ billing }) => billing },
        { title: 'AWS stream', kind: 'text', cell: ({ stream }) => stream ?? 'off' },
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
  ]
}
