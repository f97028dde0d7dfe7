// To-do lists in two regions: the tables as a global table, the count, the search, the archive, and a page to see all of it.
//   node examples/todo/run.mjs [--json]            starts it, checks by itself that all of it does what it should, and ends
//   node examples/todo/run.mjs --serve [--port N]  starts it, prints the page's address, and goes on until Ctrl-C;
//                                                  with --check after the same checks
import { parseArgs } from 'node:util'
import { check } from './checks.mjs'
import { startRegions } from './regions.mjs'
import { setUp } from './setup.mjs'
import { addressOf, servePage } from './web/server.mjs'

const { values: flags } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    serve: { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
})
const print = (...words) => flags.json || console.log(...words)
const stopAsked = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve)
})

const { regions, stop } = await startRegions(['us-east-1', 'eu-west-1'])
let page
try {
  for (const { name, url } of regions) print(`the daemon of ${name} is ready at ${url} (console: ${url}/console)`)
  await setUp(regions)
  page = await servePage(regions, Number(flags.port))
  if (flags.check || !flags.serve) {
    const summary = await check(addressOf(page), print)
    if (flags.json) console.log(JSON.stringify(summary))
    else print('all as it should be')
  }
  if (flags.serve) {
    console.log(`the page is ready at ${addressOf(page)}`)
    await stopAsked
  }
} finally {
  page?.closeAllConnections()
  page?.close()
  await stop()
}
