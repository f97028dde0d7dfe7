import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connectionsMaxOf } from '../../src/server/connections-max.js'
import { ensureBuilt } from '../built.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(() => ensureBuilt())

const main = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))

describe('connections', () => {
  test.for([
    [4096, Infinity, 4096],
    [4096, 1 << 20, 4096],
    [4096, 4096, 2896],
    [4096, 1024, 256],
    [10, 256, 10],
    [4096, 1, 1],
  ])('%i wanted and %i files: %i', ([wanted, files, given]) => {
    expect(connectionsMaxOf(wanted!, files!)).toBe(given)
  })

  // The limit is known on Linux alone.
  test.runIf(process.platform === 'linux')('leave the store the files that it needs', async () => {
    const port = await startWithFiles(256)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    expect(await post(agent, port, 'streams', { name: 'clicks' })).toBe(201)
    const idle = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    onTestFinished(() => idle.forEach((socket: Socket) => socket.destroy()))
    await Promise.all(idle.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])))
    // New write-ahead logs and table files all along.
    for (let i = 0; i < 20; i++) {
      const records = [{ key: `k${i}`, value: randomBytes(200_000).toString('base64') }]
      expect(await post(agent, port, 'streams/clicks/records', { records })).toBe(200)
    }
  })
})

/** A daemon that may have so many files open; its port. */
async function startWithFiles(openFilesMax: number): Promise<number> {
  const args = [main, 'serve', '--data', join(temporaryFolder(), 'data'), '--port', '0']
  const daemon: ChildProcess = spawn(
    'bash',
    ['-c', `ulimit -n ${openFilesMax}; exec "$0" "$@"`, process.execPath, ...args],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
      cwd: temporaryFolder(),
      env: { ...process.env, MILLRACE_STORE_WRITE_BUFFER_BYTES: String(1 << 20) },
    },
  )
  onTestFinished(async () => {
    daemon.kill('SIGKILL')
    await once(daemon, 'exit')
  })
  const [line] = (await once(createInterface(daemon.stdout!), 'line')) as [string]
  return Number(/:(\d+)$/.exec(line)?.[1])
}

/** The status of the answer. */
function post(agent: Agent, port: number, path: string, body: unknown): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'x-millrace': '1' }
    request({ agent, host: '127.0.0.1', port, path: `/v1/${path}`, method: 'POST', headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
      .once('error', reject)
      .end(JSON.stringify(body))
  })
}
