import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

type Handler = (event: object, context: object, callback: (error: unknown, said: string) => void) => void

/** Documents by their path, as a server has them that takes a request whenever `release` lets it. */
const documents = new Map<string, string>()
const waiting: { readonly body: string; readonly take: (status: number) => void }[] = []
let server: Server
let handler: Handler

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    const take = (status: number): void => {
      if (status === 200) documents.set(request.url ?? '', body)
      response.writeHead(status).end()
    }
    waiting.push({ body, take })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  vi.stubEnv('SEARCH_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  handler = createRequire(import.meta.url)('../../examples/todo/functions/search-guide.js').handler
})

afterAll(() => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  server.close()
})

const records = ['Plan the week', 'Plan the month'].map((words, i) => ({
  eventName: i === 0 ? 'INSERT' : 'MODIFY',
  dynamodb: { Keys: { ListId: { N: '2' }, TaskId: { S: 'a' } }, NewImage: { Description: { S: words } } },
}))

async function call(): Promise<(index: number, status: number) => void> {
  const said = await new Promise<string>((resolve) =>
    handler({ Records: records }, {}, (_error, text) => resolve(text)),
  )
  expect(said).toBe('Successfully processed 2 records.')
  await expect.poll(() => waiting.length).toBe(2)
  const asked = waiting.splice(0).sort((a, b) => (a.body.includes('week') ? -1 : b.body.includes('week') ? 1 : 0))
  return (index, status) => asked[index]?.take(status)
}

test('the function that most guides show leaves an old version in the index when requests overtake each other', async () => {
  const answer = await call()
  answer(1, 200)
  answer(0, 200)
  expect([...documents.values()]).toEqual(['{"description":"Plan the week"}'])
})

test('and none when the server is busy, as it does not look at answers', async () => {
  documents.clear()
  const answer = await call()
  for (const index of [0, 1]) answer(index, 429)
  expect(documents.size).toBe(0)
})
