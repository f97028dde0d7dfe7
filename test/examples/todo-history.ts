import fc from 'fast-check'
import type { Task } from '../../examples/todo/archive.js'
import type { TestChange } from '../../src/testing/index.js'

/** What befalls a task: written anew or over, removed by a user, or removed since its time to live was over. */
export interface Happening {
  readonly kind: 'write' | 'delete' | 'expire'
  readonly list: number
  readonly task: string
}

/** Few keys, so that most of what happens meets a task that is there, or one that was. */
export const happenings = (lengthMax: number): fc.Arbitrary<Happening[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom('write' as const, 'write' as const, 'delete' as const, 'expire' as const),
      list: fc.integer({ min: 1, max: 3 }),
      task: fc.constantFrom('a', 'b', 'c'),
    }),
    { minLength: 1, maxLength: lengthMax },
  )

export interface Expected {
  /** Tasks that are there at the end, by list; lists that had none ever are left out. */
  readonly counts: ReadonlyMap<number, number>
  /** By list and task, as they last were. */
  readonly expired: ReadonlyMap<string, Task>
  readonly gone: ReadonlyMap<string, Task>
}

/** The changes that a history makes in the table, and what must follow from them, by plain recomputation. */
export function changesOf(history: readonly Happening[]): { changes: TestChange<Task>[]; expected: Expected } {
  const there = new Map<string, Task>()
  const counts = new Map<number, number>()
  const expired = new Map<string, Task>()
  const gone = new Map<string, Task>()
  const changes = history.flatMap(({ kind, list, task }, i): TestChange<Task>[] => {
    const id = `${list}/${task}`
    const old = there.get(id)
    if (kind === 'write') {
      const item = { ListId: list, TaskId: task, Description: `as of ${i}` }
      there.set(id, item)
      if (old) return [{ type: 'modify', new: item, old }]
      counts.set(list, (counts.get(list) ?? 0) + 1)
      return [{ type: 'insert', new: item }]
    }
    if (old === undefined) return []
    there.delete(id)
    counts.set(list, (counts.get(list) as number) - 1)
    gone.set(id, old)
    if (kind === 'expire') expired.set(id, old)
    return [{ type: 'remove', old, service: kind === 'expire' }]
  })
  return { changes, expected: { counts, expired, gone } }
}
