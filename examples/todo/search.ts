import { openSearch, pipeline, table } from 'millrace'
import type { Task } from './archive.js'

/** Tasks in an index of OpenSearch or Elasticsearch: those that are there, and then every change. */
export default pipeline('todoSearch')
  .from(table<Task>('todoListTask', { snapshot: true }))
  .to(
    openSearch(
      'todo-tasks',
      ({ type, keys, new: task }) => ({
        id: `${keys.ListId}/${keys.TaskId}`,
        document: type === 'remove' ? null : { description: task.Description },
      }),
      { url: 'http://127.0.0.1:9200' },
    ),
  )
