import { request } from 'node:http'
import { expect, test } from 'vitest'
import { consoleAsset } from '../../src/console/index.js'
import { serve } from '../server/serving.js'

function send(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', method, path, headers }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
    asked.on('error', reject)
    asked.end()
  })
}

test('the console is sent with a policy that lets nothing in but its own files', async () => {
  const { url } = await serve()
  for (const path of ['/console', '/console/', '/console/index.html', '/console/style.css', '/console/icon.svg']) {
    const response = await fetch(url + path)
    expect([path, response.status]).toEqual([path, 200])
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
    expect(policy).not.toContain('unsafe')
    expect(policy).toContain("frame-ancestors 'none'")
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  }
  const page = await (await fetch(`${url}/console`)).text()
  // The policy would refuse them.
  expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=/)
})

test('only pages of the daemon itself get it, and nobody gets another file', async () => {
  const { port } = await serve()
  expect(await send(port, '/console', { host: `evil.example:${port}` })).toBe(403)
  expect(await send(port, '/console', { origin: 'http://evil.example' })).toBe(403)
  expect(await send(port, '/console', {}, 'POST')).toBe(400)
  for (const path of ['/console/none.js', '/console/../../package.json', '/console/tsconfig.json', '/console/app.ts'])
    expect([path, await send(port, path)]).toEqual([path, 404])
  for (const path of ['/../index.js', '/../../cli/main.cjs', '//etc/passwd.html', '/%2e%2e/assets.js', '/.html'])
    expect(consoleAsset(path), path).toBeUndefined()
})
