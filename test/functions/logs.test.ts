import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { FunctionLogs } from '../../src/functions/index.js'
import { silentLogger } from '../../src/runtime/index.js'
import { ensureBuilt } from '../built.js'
import { ManualClock } from '../manual-clock.js'
import { serve } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

function openLog(logBytesMax = 1 << 20) {
  const clock = new ManualClock()
  const folder = temporaryFolder()
  const open = () => new FunctionLogs({ folder, logBytesMax, clock, logger: silentLogger })
  const logs = open()
  const log = logs.of('f')
  /** All that waits is in the file. */
  const written = async () => {
    clock.advance(1000)
    await log.close()
  }
  return { folder, log, logs, open, written }
}

test('the newest lines, whole ones, wherever they lie', async () => {
  const { log, open, written } = openLog()
  log.append('one\ntwo\n')
  await written()
  log.append('three\n')
  expect(log.newest(100)).toBe('one\ntwo\nthree\n')
  expect([0, 3, 6, 7, 10, 13, 14].map((bytes) => log.newest(bytes))).toEqual([
    '',
    '',
    'three\n',
    'three\n',
    'two\nthree\n',
    'two\nthree\n',
    'one\ntwo\nthree\n',
  ])
  await written()
  expect(open().of('f').newest(100)).toBe('one\ntwo\nthree\n')
})

test('the older half goes, and the newest lines stay', async () => {
  const { log, written } = openLog(1000)
  for (let i = 0; i < 100; i++) {
    log.append(`line ${i}${' '.repeat(20)}\n`)
    await written()
  }
  const lines = log.newest(10_000).split('\n')
  expect(lines.slice(-2)).toEqual([`line 99${' '.repeat(20)}`, ''])
  const first = Number(lines[0]?.split(' ')[1])
  expect(lines.slice(0, -1).map((line) => Number(line.split(' ')[1]))).toEqual(
    Array.from({ length: 100 - first }, (_, i) => first + i),
  )
  expect(log.newest(10_000).length).toBeLessThanOrEqual(1000)
  expect(log.newest(10_000).length).toBeGreaterThan(500)
})

test('a log that cannot be written says how much is missing, holds nothing in memory, and goes on', async () => {
  const { log, logs, written, folder } = openLog()
  log.append('one\n')
  await written()
  // In the place of its folder: what a full disk does to it.
  rmSync(join(folder, 'f'), { recursive: true })
  writeFileSync(join(folder, 'f'), '')
  log.append('two\n')
  await written()
  log.append('three\n')
  await written()
  expect(log.newest(1000)).toBe('')
  rmSync(join(folder, 'f'))
  log.append('four\n')
  await written()
  expect(log.newest(1000)).toBe('four\n10 characters could not be written\n')
  // Nothing of a log that was removed comes back.
  await logs.remove('f')
  log.append('five\n')
  await written()
  expect(existsSync(join(folder, 'f'))).toBe(false)
})

test('as many followers as there may be, until the log is gone', async () => {
  const { log, logs } = openLog()
  const taken: string[] = []
  let ended = 0
  const follower = { take: (text: string) => taken.push(text), ended: () => ended++ }
  const ends = Array.from({ length: 32 }, () => log.follow({ ...follower }))
  expect(() => log.follow({ ...follower })).toThrow(expect.objectContaining({ code: 'TOO_BUSY' }))
  for (const end of ends.slice(1)) end()
  log.append('text\n')
  expect(taken).toEqual(['text\n'])
  const removing = logs.remove('f')
  expect(ended).toBe(1)
  void removing
})

test('over HTTP: who may not follow is told so', async () => {
  const serving = await serve()
  const path = join(temporaryFolder(), 'f.js')
  writeFileSync(path, 'exports.handler = 1')
  await serving.daemon.rooms.functions.create('f', { path })
  const log = serving.daemon.functions.logs.of('f')
  for (let i = 0; i < 32; i++) log.follow({ take: () => {}, ended: () => {} })
  const refused = await serving.v1('GET', 'functions/f/logs?follow=true')
  expect([refused.status, refused.code]).toEqual([503, 'TOO_BUSY'])
})

test('over HTTP: what is there, and what comes, until the function is gone', async () => {
  const serving = await serve()
  const path = join(temporaryFolder(), 'f.js')
  writeFileSync(path, "exports.handler = async ({ text }) => { console.log('printed', text) }")
  const { functions } = serving.daemon.rooms
  await functions.create('f', { path, timeoutMs: 60_000 })
  const call = (text: string) => serving.v1('POST', 'functions/f/invoke', { text })
  await call('first')
  const first = await serving.v1('GET', 'functions/f/logs')
  expect(first.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(first.text).toMatch(
    /^START RequestId: .*\n.*\tINFO\tprinted first\nEND RequestId: .*\nREPORT RequestId: .*\n$/,
  )
  const followed = await fetch(`${serving.url}/v1/functions/f/logs?follow=true&bytes=0`, {
    headers: { 'x-millrace': '1' },
  })
  const all = followed.text()
  await call('second')
  await functions.delete('f')
  expect(await all).toMatch(/^START .*\tINFO\tprinted second\n.*\nREPORT .*\n$/s)
  expect(await all).not.toContain('first')
  expect((await serving.v1('GET', 'functions/f/logs')).code).toBe('FUNCTION_NOT_FOUND')
  // A client that goes, and a daemon that stops, end it, too.
  await functions.create('f', { path, timeoutMs: 60_000 })
  const log = serving.daemon.functions.logs.of('f')
  const follow = (signal?: AbortSignal) =>
    fetch(`${serving.url}/v1/functions/f/logs?follow=true`, {
      headers: { 'x-millrace': '1' },
      ...(signal && { signal }),
    })
  const gone = new AbortController()
  await follow(gone.signal)
  expect(log.followers).toBe(1)
  gone.abort()
  await expect.poll(() => log.followers).toBe(0)
  const last = (await follow()).text()
  await serving.close()
  expect(await last).toBe('')
})
