import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import expiredOnly, { archive, type Task } from '../../examples/todo/archive.js'
import counts from '../../examples/todo/pipeline.js'
import { testPipeline } from '../../src/testing/index.js'
import { changesOf, happenings } from './todo-history.js'

const list = { name: 'ListId', type: 'N' } as const
const tables = {
  todoListTask: { hash: list, range: 'TaskId' },
  todoListTaskArchived: { hash: list, range: 'TaskId' },
  todoTaskCount: { hash: list },
}
/** What comes between any two steps of a run. */
const faults = { crash: 0.04, split: 0.02, merge: 0.01 }
const runs = process.env.MILLRACE_LONG ? 1000 : 40

/** After each part of a random history, pushed while the pipeline crashes and its shards split, `check` must hold. */
const overHistories = (
  pipeline: object,
  check: (test: Awaited<ReturnType<typeof testPipeline>>, made: ReturnType<typeof changesOf>) => void,
) =>
  fc.assert(
    fc.asyncProperty(happenings(60), fc.integer({ min: 1, max: 2 ** 31 }), async (history, seed) => {
      const test = await testPipeline(pipeline, { tables, seed, faults })
      const made = changesOf(history)
      for (let at = 0; at < made.changes.length; at += 7)
        await test.push('todoListTask', ...made.changes.slice(at, at + 7))
      check(test, made)
    }),
    { numRuns: runs },
  )

const byId = (items: readonly object[]): Map<string, unknown> =>
  new Map((items as readonly Task[]).map((task) => [`${task.ListId}/${task.TaskId}`, task]))

describe('the pipelines of the to-do example, over crashes, splits and merges', () => {
  it('count what is there', () =>
    overHistories(counts, (test, { expected }) => {
      const shown = test.items('todoTaskCount') as { ListId: number; TaskCount: number }[]
      expect(new Map(shown.map((item) => [item.ListId, item.TaskCount]))).toEqual(expected.counts)
    }))

  it('archive what expired, as it last was, and nothing that a user removed', () =>
    overHistories(expiredOnly, (test, { expected }) => {
      expect(byId(test.items('todoListTaskArchived'))).toEqual(expected.expired)
    }))

  it('archive what users removed too, when asked', () =>
    overHistories(archive({ deletedToo: true }), (test, { expected }) => {
      expect(byId(test.items('todoListTaskArchived'))).toEqual(expected.gone)
    }))
})
