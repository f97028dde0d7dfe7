import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { callPath, HttpTransport, regionHeader } from '../../src/replicate/http-transport.js'
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

/** Answers everything, and remembers which region asked. */
function answering() {
  const asked: string[] = []
  const answer = (async (from: string) => {
    asked.push(from)
    return {}
  }) as unknown as Answering
  return { asked, answer }
}

test('a daemon speaks for the region alone that its certificate names, as common name or DNS name', async () => {
  folder = temporaryFolder()
  const own = authority.issue('us-east-1', ['127.0.0.1'])
  const { asked, answer } = answering()
  const listener = await Listener.open({
    region: 'us-east-1',
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

test('certificates that are renewed are met by every new connection, on both sides; what makes no whole changes nothing', async () => {
  folder = temporaryFolder()
  const names = ['ca', 'cert', 'key'] as const
  const paths = Object.fromEntries(names.map((name) => [name, join(folder, `${name}.pem`)]))
  const files = { caFile: paths.ca as string, certFile: paths.cert as string, keyFile: paths.key as string }
  const issue = (by: typeof authority): void => {
    const own = by.issue('eu-west-1', ['127.0.0.1'])
    file('ca.pem', by.cert)
    file('cert.pem', own.cert)
    file('key.pem', own.key)
  }
  issue(authority)
  const answer = (async () => ({})) as unknown as Answering
  const listener = await Listener.open({
    region: 'us-east-1',
    host: '127.0.0.1',
    port: 0,
    tls: files,
    answer,
    logger: silentLogger,
  })
  onTestFinished(() => listener.close())
  const url = `https://127.0.0.1:${listener.port}`
  const transport = new HttpTransport('eu-west-1', new Map([['us-east-1', { url, tls: files }]]))
  onTestFinished(() => transport.close())
  const call = (by: HttpTransport) =>
    by.call('us-east-1', 'check', {} as never, undefined, new AbortController().signal)
  // Whoever connects anew, with the certificates as they are then.
  const again = (): HttpTransport => {
    const one = new HttpTransport('eu-west-1', new Map([['us-east-1', { url, tls: files }]]))
    onTestFinished(() => one.close())
    return one
  }
  await call(transport)
  const other = newAuthority('others')
  // An authority alone, whose certificates nobody has yet: what is open goes on, and nothing new comes about.
  file('ca.pem', other.cert)
  await call(transport)
  await expect(call(again())).rejects.toMatchObject({ code: 'REPLICA_UNAVAILABLE' })
  file('key.pem', 'no key')
  await expect(call(again())).rejects.toMatchObject({ code: 'REPLICA_UNAVAILABLE' })
  issue(other)
  await call(again())
  transport.close()
  await call(transport)
})

test('an address that is that of another region is refused, and nothing is asked there', async () => {
  const { asked, answer } = answering()
  const listener = await Listener.open({
    region: 'ap-south-1',
    host: '127.0.0.1',
    port: 0,
    answer,
    logger: silentLogger,
  })
  onTestFinished(() => listener.close())
  const url = `http://127.0.0.1:${listener.port}`
  const transport = new HttpTransport('us-east-1', new Map(['eu-west-1', 'ap-south-1'].map((name) => [name, { url }])))
  onTestFinished(() => transport.close())
  const call = (region: string) => transport.call(region, 'check', {} as never, undefined, new AbortController().signal)
  await expect(call('eu-west-1')).rejects.toMatchObject({
    code: 'REPLICA_REFUSED',
    message: 'The daemon at its address is that of ap-south-1.',
    remedy: 'Correct the url of eu-west-1 under regions.',
  })
  expect(asked).toEqual([])
  await call('ap-south-1')
  expect(asked).toEqual(['us-east-1'])
})
