// Serves the page of the to-do example, and does for it what it asks. For your own machine: it listens on loopback and knows no users.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { searchTasks } from './search.mjs'
import { addTask, listIn, lists, Refusal, removeTask, setDone } from './tasks.mjs'

const bodyBytesMax = 16 * 1024
const files = new Map(
  [
    ['/', 'index.html', 'text/html'],
    ['/page.js', 'page.js', 'text/javascript'],
    ['/style.css', 'style.css', 'text/css'],
  ].map(([path, name, type]) => [path, { body: readFileSync(new URL(name, import.meta.url)), type }]),
)
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:",
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}

/** `regions`: the name of each, its daemon's address and a client for it. Gives the server, which listens. */
export async function servePage(regions, port = 0) {
  const server = createServer((request, response) => {
    answer(regions, request).then(
      ({ status = 200, type = 'application/json', body }) => {
        response.writeHead(status, { ...headers, 'content-type': `${type}; charset=utf-8` })
        response.end(body)
      },
      (error) => {
        const isRefused = error instanceof Refusal
        if (!isRefused) console.error(error)
        response.writeHead(isRefused ? 400 : 502, { ...headers, 'content-type': 'application/json; charset=utf-8' })
        response.end(JSON.stringify({ message: isRefused ? error.message : 'A region did not answer.' }))
      },
    )
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  return server
}

export const addressOf = (server) => `http://127.0.0.1:${server.address().port}/`

async function answer(regions, request) {
  const url = new URL(request.url, 'http://127.0.0.1')
  // A page of another site could reach this server under a name of its own; it has no business here.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')) return { status: 403, body: '{}' }
  const file = files.get(url.pathname)
  if (file && request.method === 'GET') return file
  const asked = Object.fromEntries(url.searchParams)
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /api/lists':
      return json({ lists: await lists(regions[0]), regions: regions.map(({ name }) => name) })
    case 'GET /api/list':
      return json(await everywhere(regions, (region) => listIn(region, listOf(asked))))
    case 'GET /api/search':
      return json(await searchTasks(regionOf(regions, asked), listOf(asked), asked.words ?? ''))
    case 'POST /api/tasks/add':
    case 'POST /api/tasks/done':
    case 'POST /api/tasks/remove': {
      const given = await bodyOf(request)
      const act = { add: addTask, done: setDone, remove: removeTask }[url.pathname.slice('/api/tasks/'.length)]
      const wanted = { ...given, list: listOf(given) }
      if (act !== addTask && typeof wanted.task !== 'string') throw new Refusal('Say which task.')
      return json((await act(regionOf(regions, given), wanted)) ?? {})
    }
    default:
      return { status: 404, body: '{}' }
  }
}

const json = (value) => ({ body: JSON.stringify(value) })

/** What each region says; one that is away is shown as such, and the others as they are. */
const everywhere = (regions, ask) =>
  Promise.all(
    regions.map((region) =>
      ask(region).catch((error) => {
        if (error instanceof Refusal) throw error
        return { region: region.name, isAway: true }
      }),
    ),
  )

function regionOf(regions, { region }) {
  const found = regions.find(({ name }) => name === region)
  if (found) return found
  throw new Refusal(`There is no region ${region}.`)
}

function listOf({ list }) {
  const number = Number(list)
  if (Number.isSafeInteger(number)) return number
  throw new Refusal('Say which list.')
}

/** JSON alone: no form of another site can send that. */
async function bodyOf(request) {
  if (!request.headers['content-type']?.startsWith('application/json')) throw new Refusal('Send JSON.')
  const parts = []
  let bytes = 0
  for await (const part of request) {
    bytes += part.length
    if (bytes > bodyBytesMax) throw new Refusal('That is too long.')
    parts.push(part)
  }
  try {
    return { ...JSON.parse(Buffer.concat(parts).toString()) }
  } catch {
    throw new Refusal('Send JSON.')
  }
}
