import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Serving, serve } from './serving.js'

/** More than the kernel takes for a client that reads nothing. */
const pieces = 32

async function filled(http: { exportsMax: number; exportStalledMsMax?: number }): Promise<Serving> {
  const serving = await serve({ http })
  await serving.v1('POST', 'streams', { name: 'clicks' })
  const value = 'x'.repeat(1_000_000)
  for (let n = 0; n < pieces; n++)
    expect((await serving.v1('POST', 'streams/clicks/records', { records: [{ key: 'k', value }] })).status).toBe(200)
  return serving
}

/** Asks for an export and takes nothing of it but its beginning. */
async function hang(serving: Serving): Promise<Socket> {
  const socket = connect(serving.port, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
  })
  socket.write('GET /v1/streams/clicks/export HTTP/1.1\r\nhost: 127.0.0.1\r\nx-millrace: 1\r\n\r\n')
  await once(socket, 'readable')
  return socket
}

const exported = (serving: Serving) =>
  serving.v1('GET', 'streams/clicks/export', undefined, { accept: 'application/x-ndjson' })

/** Asks until there is room. */
async function whenFree(serving: Serving) {
  for (;;) {
    const answer = await exported(serving)
    if (answer.code !== 'TOO_BUSY') return answer
  }
}

test('exports are bounded; a client that goes away gives its place free', { timeout: 60_000 }, async () => {
  const serving = await filled({ exportsMax: 2 })
  const hanging = [await hang(serving), await hang(serving)]
  expect(await exported(serving)).toMatchObject({ code: 'TOO_BUSY' })
  // What is refused takes no place, whatever is wrong with it.
  expect((await serving.v1('GET', 'streams/clicks/export?from=x', undefined, { accept: 'text/plain' })).code).toBe(
    'BAD_REQUEST',
  )
  hanging[0]?.destroy()
  const { status, text } = await whenFree(serving)
  expect(status).toBe(200)
  expect(text.trimEnd().split('\n')).toHaveLength(pieces)
})

test('a client that takes nothing is cut', { timeout: 60_000 }, async () => {
  const serving = await filled({ exportsMax: 1, exportStalledMsMax: 200 })
  const socket = await hang(serving)
  expect((await whenFree(serving)).status).toBe(200)
  let bytes = 0
  socket.on('data', (piece: Buffer) => {
    bytes += piece.length
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  expect(bytes).toBeLessThan(pieces * 1_000_000)
})
