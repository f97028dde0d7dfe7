/** Key groups: the top 8 bits of a key's hash. */
export const keyGroups = 256

/** The task that owns a key group. */
export function taskOfGroup(group: number, tasks: number): number {
  return Math.floor(((group + 1) * tasks - 1) / keyGroups)
}

/** The key groups of a task, from `first` to `last`; together the tasks of a stage own all. */
export function groupsOfTask(task: number, tasks: number): { readonly first: number; readonly last: number } {
  return { first: Math.floor((task * keyGroups) / tasks), last: Math.floor(((task + 1) * keyGroups) / tasks) - 1 }
}
