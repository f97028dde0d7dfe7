import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

test('the command makes an index, searches it, shows it, and deletes it', async () => {
  const daemon = await DaemonProcess.start({ data: join(temporaryFolder(), 'data') })
  try {
    const run = (...args: string[]) => millrace(['--url', daemon.url, 'search', ...args])
    await daemon.aws('CreateTable', {
      TableName: 'todo',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    const item = (id: string, title: string) => ({ id: { S: id }, title: { S: title }, note: { S: 'a note' } })
    await daemon.aws('PutItem', { TableName: 'todo', Item: item('one', 'buy milk and eggs') })
    expect(await run('create', 'tasks', '--table', 'todo', '--fields', 'title^2,note', '--json')).toMatchObject({
      code: 0,
    })
    await daemon.aws('PutItem', { TableName: 'todo', Item: item('two', 'milk the cow') })
    const found = await run('tasks', 'milk', 'eggs', '--wait', '--json')
    expect(JSON.parse(found.stdout)).toMatchObject({ total: 2, hits: [{ key: { id: { S: 'one' } } }, {}] })
    const all = await run('tasks', 'milk', 'eggs', '--all')
    expect(all.stdout).toMatch(/id +title +note +score/)
    expect(all.stdout).toContain('buy milk and eggs')
    expect(all.stdout).not.toContain('cow')
    expect((await run('list')).stdout).toMatch(/tasks +todo +title\^2, note +ready +2/)
    expect(JSON.parse((await run('show', 'tasks', '--json')).stdout)).toMatchObject({ state: 'ready', documents: 2 })
    expect((await run('rebuild', 'tasks')).stdout).toContain('tasks is being built again')
    expect((await run('delete', 'tasks')).stdout).toContain('tasks is deleted')
    expect(await run('tasks', 'milk')).toMatchObject({ code: 1, stderr: expect.stringContaining('(NOT_FOUND)') })
  } finally {
    await daemon.stop()
  }
})
