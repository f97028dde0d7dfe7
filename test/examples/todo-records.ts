import { vi } from 'vitest'
import type { DaemonProcess, StreamRecord } from '../daemon-process.js'
import { createTodoTables, itemsOf, triggerRecords } from './todo-tables.js'

const key = (list: number, task: string) => ({ ListId: { N: String(list) }, TaskId: { S: task } })
/** Due as soon as the table looks; and a number that is longer than a double. */
export const past = {
  ExpiresAt: { N: String(Math.floor(Date.now() / 1000) - 10) },
  Exact: { N: '0.12345678901234567890123456789' },
}

/** What the history below leaves behind. */
export const expectedCounts = { 1: 2, 2: 0, 3: 9 }
export const expectedArchive = ['1/c', '2/a', '2/b']
export const inserts = { 1: 4, 2: 2, 3: 9 }

/** Makes the tables and writes tasks: some stay, one is deleted by a user, three expire. Gives what a trigger hands to functions. */
export async function writeHistory(daemon: DaemonProcess): Promise<readonly StreamRecord[]> {
  const put = (list: number, task: string, more: object = {}) =>
    daemon.aws('PutItem', { TableName: 'todoListTask', Item: { ...key(list, task), ...more } })
  const arn = await createTodoTables(daemon)
  for (const task of ['a', 'b', 'c', 'd']) await put(1, task)
  await daemon.aws('DeleteItem', { TableName: 'todoListTask', Key: key(1, 'd') })
  for (const [list, task] of [
    [1, 'c'],
    [2, 'a'],
    [2, 'b'],
  ] as const)
    await put(list, task, past)
  for (let i = 0; i < 9; i++) await put(3, `many ${i}`)
  await vi.waitUntil(async () => (await itemsOf(daemon, 'todoListTask')).length === 11, { timeout: 120_000 })
  return triggerRecords(daemon, arn)
}
