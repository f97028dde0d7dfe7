// Starts a Kafka broker on loopback and runs it until Ctrl-C: node test/kafka/start-broker.mjs [PORT]
// The one line on stdout is its address, for `millrace demo --kafka` or `millrace bridges create`.
import { startBroker } from './broker.mjs'

const port = process.argv[2] === undefined ? undefined : Number(process.argv[2])
if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) {
  process.stderr.write('usage: node test/kafka/start-broker.mjs [PORT]\n')
  process.exit(2)
}
const broker = await startBroker({ port })
process.stdout.write(`${broker.address}\n`)
process.stderr.write('a Kafka broker is ready there; Ctrl-C stops it and removes its data\n')
const end = async () => {
  await broker.close()
  process.exit(0)
}
process.once('SIGINT', end)
process.once('SIGTERM', end)
