import { createServer } from 'node:net'

/** Below those that Linux gives to whoever asks for any port, and to the near end of a connection. */
const [lowest, highest] = [12_000, 32_000]

const canListen = (port) =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/**
 * Ports that are free now and stay it until something that is started later listens there, seconds after: no connection and
 * no `listen(0)` of another test can take them meanwhile, and only one that picks the same of 20,000 in that time would.
 */
export async function freePorts(count) {
  const ports = new Set()
  while (ports.size < count) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (await canListen(port)) ports.add(port)
  }
  return [...ports]
}
