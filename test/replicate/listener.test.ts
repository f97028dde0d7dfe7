import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { callPath, regionHeader } from '../../src/replicate/http-transport.js'
import { Listener } from '../../src/replicate/listener.js'
import type { Answering } from '../../src/replicate/types.js'
import { encodeFrame } from '../../src/replicate/wire.js'
import { silentLogger } from '../../src/runtime/index.js'
import { newAuthority } from '../kafka/certificates.js'
import { temporaryFolder } from '../temporary-folder.js'

const authority = newAuthority('links')

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
let folder = ''

test('a daemon speaks for the region alone that its certificate names, as common name or DNS name', async () => {
  folder = temporaryFolder()
  const own = authority.issue('us-east-1', ['127.0.0.1'])
  const asked: string[] = []
  const answer = (async (from: string) => {
    asked.push(from)
    return {}
  }) as unknown as Answering
  const listener = await Listener.open({
    host: '127.0.0.1',
    port: 0,
    tls: {
      caFile: file('ca.pem', authority.cert),
      certFile: file('cert.pem', own.cert),
      keyFile: file('key.pem', own.key),
    },
    answer,
    logger: silentLogger,
  })
  onTestFinished(() => listener.close())

  const call = (certificate: { readonly cert: string; readonly key: string }, region: string) =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const asking = request(
        {
          port: listener.port,
          host: '127.0.0.1',
          path: `${callPath}check`,
          method: 'POST',
          ca: authority.cert,
          ...certificate,
          headers: { [regionHeader]: region },
        },
        async (response) => {
          let text = ''
          for await (const part of response) text += part
          resolve({ status: response.statusCode, text })
        },
      )
      asking.on('error', reject)
      asking.end(encodeFrame({}, undefined))
    })
  const named = authority.issue('eu-west-1')
  expect((await call(named, 'eu-west-1')).status).toBe(200)
  expect((await call(authority.issue('any name', ['eu-west-1']), 'eu-west-1')).status).toBe(200)
  const refused = await call(named, 'ap-south-1')
  expect(refused.status).toBe(403)
  expect(refused.text).toContain('does not name the region ap-south-1')
  expect(asked).toEqual(['eu-west-1', 'eu-west-1'])
})
