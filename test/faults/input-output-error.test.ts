/** EIO on a write and on a sync of the store, under load: nothing more is acknowledged, and it recovers by opening again. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureBuilt } from '../built.js'
import { AwsFailure, DaemonProcess } from '../daemon-process.js'
import { compileShim, shimEnvironment } from '../power/shim.js'
import { temporaryFolder } from '../temporary-folder.js'
import { createTable, tableName } from './ledger-of-writes.js'

const library = compileShim()
const writers = 6

describe.skipIf(!library)('an input/output error', () => {
  it.each(['write', 'sync'])(
    'on a %s poisons the store; what was acknowledged is there when it is open again',
    async (what) => {
      ensureBuilt()
      const folder = temporaryFolder()
      const [root, fail] = [join(folder, 'root'), join(folder, 'fail')]
      mkdirSync(root)
      mkdirSync(fail)
      const env = {
        ...shimEnvironment(library as string, root, join(folder, 'journal')),
        POWER_SHIM_FAIL: fail,
        MILLRACE_LOG_LEVEL: 'silent',
      }
      const data = join(root, 'data')
      let daemon = await DaemonProcess.start({ data, env })
      await createTable(daemon)
      const acknowledged: string[] = []
      const failures: AwsFailure[] = []
      let isOver = false
      const write = async (writer: number) => {
        for (let i = 0; !isOver; i++) {
          const id = `${writer} ${i}`
          try {
            await daemon.aws('PutItem', { TableName: tableName, Item: { id: { S: id } } })
            acknowledged.push(id)
          } catch (error) {
            if (!(error instanceof AwsFailure)) throw error
            failures.push(error)
            return
          }
        }
      }
      const writing = Array.from({ length: writers }, (_, writer) => write(writer))
      while (acknowledged.length < 50) await new Promise((resolve) => setTimeout(resolve, 5))
      writeFileSync(join(fail, what), '')
      // Every writer gets an error: none is acknowledged for ever, and none waits for ever.
      await Promise.all(writing)
      rmSync(join(fail, what))
      isOver = true
      expect(failures).toHaveLength(writers)
      for (const { type } of failures) expect(['InternalServerError', 'ServiceUnavailable']).toContain(type)
      const state = async () => ((await (await fetch(`${daemon.url}/readyz`)).json()) as { state: string }).state
      while (['poisoned', 'reopening'].includes(await state())) await new Promise((resolve) => setTimeout(resolve, 50))
      // More than three failures within ten minutes keep it closed: then a person is asked.
      if ((await state()) !== 'ready') {
        await daemon.kill()
        daemon = await DaemonProcess.start({ data, env })
      }
      for (const id of acknowledged) {
        const { Item } = await daemon.aws<{ Item?: object }>('GetItem', {
          TableName: tableName,
          Key: { id: { S: id } },
        })
        expect(Item, `${id} was acknowledged`).toBeDefined()
      }
      await daemon.aws('PutItem', { TableName: tableName, Item: { id: { S: 'after' } } })
      await daemon.kill()
      // And what is on the disk is whole.
      daemon = await DaemonProcess.start({ data })
      const last = await daemon.aws<{ Item?: object }>('GetItem', { TableName: tableName, Key: { id: { S: 'after' } } })
      expect(last.Item).toBeDefined()
      await daemon.kill()
    },
  )
})
