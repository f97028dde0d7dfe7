import { randomBytes } from 'node:crypto'
import { existsSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type AwsFailure, DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { createTable, tableName } from './ledger-of-writes.js'
import { mayMountDisks, mountDisk } from './small-disk.js'

const mayMount = mayMountDisks('the test of a full disk')

describe.skipIf(!mayMount)('a full disk', () => {
  it('takes no acknowledged write, answers what clients retry, and is left behind when there is space again', async () => {
    ensureBuilt()
    const disk = temporaryFolder()
    mountDisk(disk, 60)
    const env = {
      MILLRACE_COMMIT_FREE_BYTES_MIN: '0',
      MILLRACE_STORE_WRITE_BUFFER_BYTES: String(4 << 20),
      MILLRACE_LOG_LEVEL: 'silent',
    }
    const daemon = await DaemonProcess.start({ data: join(disk, 'data'), env })
    await createTable(daemon)
    const filler = join(disk, 'filler')
    writeFileSync(filler, Buffer.alloc(30 << 20))
    const put = (id: string) =>
      daemon.aws('PutItem', {
        TableName: tableName,
        Item: { id: { S: id }, bytes: { B: randomBytes(75_000).toString('base64') } },
      })
    const acknowledged: string[] = []
    let refused = 0
    for (let i = 0; refused < 5 && i < 2000; i++) {
      try {
        await put(`item ${i}`)
        acknowledged.push(`item ${i}`)
      } catch (error) {
        expect(['InternalServerError', 'ServiceUnavailable']).toContain((error as AwsFailure).type)
        refused++
      }
    }
    expect(refused).toBe(5)
    rmSync(filler)
    // The store is reopened by itself. More than three failures in ten minutes would keep it closed: then a person is asked.
    for (;;) {
      const { state } = (await (await fetch(`${daemon.url}/readyz`)).json()) as { state: string }
      if (state !== 'reopening') break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const { state } = (await (await fetch(`${daemon.url}/readyz`)).json()) as { state: string }
    const after = state === 'ready' ? daemon : await restarted(daemon, join(disk, 'data'), env)
    for (const id of acknowledged) {
      const { Item } = await after.aws<{ Item?: object }>('GetItem', { TableName: tableName, Key: { id: { S: id } } })
      expect(Item, `${id} was acknowledged`).toBeDefined()
    }
    await after.aws('PutItem', { TableName: tableName, Item: { id: { S: 'after' } } })
    await after.kill()
  })

  it('is survived by the ballast while nobody frees space, and after a kill too; nothing acknowledged is lost', async () => {
    ensureBuilt()
    const disk = temporaryFolder()
    mountDisk(disk, 80)
    const data = join(disk, 'data')
    const env = {
      MILLRACE_COMMIT_FREE_BYTES_MIN: '0',
      MILLRACE_STORE_WRITE_BUFFER_BYTES: String(4 << 20),
      MILLRACE_COMMIT_EFFECT_SET_BYTES_MAX: String(4 << 20),
      MILLRACE_COMMIT_COMMIT_BYTES_MAX: String(4 << 20),
      MILLRACE_LOG_LEVEL: 'silent',
    }
    const ballast = join(data, 'ballast')
    const ballastBytes = 12 << 20
    const isThere = () => existsSync(ballast) && statSync(ballast).size === ballastBytes
    const daemon = await DaemonProcess.start({ data, env })
    await createTable(daemon)
    await until(isThere)
    const filler = join(disk, 'filler')
    const { bavail, bsize } = statfsSync(disk)
    writeFileSync(filler, Buffer.alloc(bavail * bsize - (9 << 20)))
    const acknowledged: string[] = []
    const put = async (to: DaemonProcess, id: string) => {
      const bytes = { B: randomBytes(75_000).toString('base64') }
      await to.aws('PutItem', { TableName: tableName, Item: { id: { S: id }, bytes } })
      acknowledged.push(id)
    }
    const isRefused = (to: DaemonProcess, id: string) =>
      put(to, id).then(
        () => false,
        (error: AwsFailure) => {
          if (!['InternalServerError', 'ServiceUnavailable'].includes(error.type)) throw error
          return true
        },
      )
    for (let i = 0; !(await isRefused(daemon, `item ${i}`)); i++) expect(i).toBeLessThan(1000)
    const state = async (of: DaemonProcess) =>
      (await (await fetch(`${of.url}/v1/status`)).json()) as { state: string; storageFull: boolean }
    const hasAll = async (of: DaemonProcess) => {
      for (const id of acknowledged) {
        const { Item } = await of.aws<{ Item?: object }>('GetItem', { TableName: tableName, Key: { id: { S: id } } })
        expect(Item, `${id} was acknowledged`).toBeDefined()
      }
    }
    await until(async () => (await state(daemon)).state === 'ready')
    expect(isThere()).toBe(false)
    expect((await state(daemon)).storageFull).toBe(true)
    await hasAll(daemon)
    // The space of the ballast is not for writers: the next opening needs it again.
    expect(await isRefused(daemon, 'on a full disk')).toBe(true)
    await daemon.kill()
    const again = await DaemonProcess.start({ data, env })
    expect(await state(again)).toMatchObject({ state: 'ready', storageFull: true })
    await hasAll(again)
    rmSync(filler)
    await until(async () => !(await isRefused(again, 'after')))
    await until(isThere)
    await hasAll(again)
    expect(await again.stop()).toBe(0)
  })
})

/** A state that comes by itself; the test's own time bounds the wait. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 50))
}

async function restarted(daemon: DaemonProcess, data: string, env: Record<string, string>): Promise<DaemonProcess> {
  await daemon.kill()
  return DaemonProcess.start({ data, env })
}
