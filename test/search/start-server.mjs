// Starts an OpenSearch server on loopback and runs it until Ctrl-C: node test/search/start-server.mjs [PORT]
// The one line on stdout is its URL, for the sink openSearch of a pipeline.
import { startSearchServer } from './server.mjs'

const port = process.argv[2] === undefined ? undefined : Number(process.argv[2])
if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) {
  process.stderr.write('usage: node test/search/start-server.mjs [PORT]\n')
  process.exit(2)
}
const server = await startSearchServer({ port })
process.stdout.write(`${server.url}\n`)
process.stderr.write('an OpenSearch server is ready there; Ctrl-C stops it and removes its data\n')
const end = async () => {
  await server.close()
  process.exit(0)
}
process.once('SIGINT', end)
process.once('SIGTERM', end)
