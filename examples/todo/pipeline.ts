import { pipeline, table } from 'millrace'

/** How many tasks each list has: inserts count up, deletes count down, and nothing else counts. */
export default pipeline('todoTaskCount')
  .from(table('todoListTask'))
  .filter((change) => change.type !== 'modify')
  .keyByPartition()
  .sum('tasks', (change) => (change.type === 'insert' ? 1 : -1))
  .to(table('todoTaskCount', (tasks, key) => ({ ListId: key.ListId, TaskCount: tasks })))
