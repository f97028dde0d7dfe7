// The daemons of the to-do example, one a region, each on a temporary folder of its own, linked to each other.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect } from './tables.mjs'
import { searchIndex } from './web/search.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const main = join(root, 'dist', 'cli', 'main.cjs')

/** What follows the tables of each region, as its configuration says: they wait for their tables. */
const uses = {
  // The same count as the pipeline's, as it is done on AWS.
  functions: {
    countTasks: {
      path: join(root, 'examples/todo/functions/count-tasks.mjs'),
      environment: { COUNT_TABLE: 'todoTaskCountByTrigger' },
      // The three seconds that are given by default are short for a first call on a busy machine.
      timeoutMs: 30_000,
      triggers: [{ table: 'todoListTask' }],
    },
  },
  search: { indexes: { [searchIndex]: { table: 'todoListTask', fields: ['Description'] } } },
}

/** Starts a daemon for each region; `stop` ends them and takes their folders away. */
export async function startRegions(names) {
  execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 2, 2] })
  const folder = mkdtempSync(join(tmpdir(), 'millrace-todo-'))
  const started = []
  const stop = async () => {
    for (const { documents, daemon } of started) {
      documents?.destroy()
      daemon.kill('SIGTERM')
    }
    await Promise.all(started.map(({ ended }) => ended))
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const links = await linksOf(names)
    for (const name of names) {
      mkdirSync(join(folder, name))
      started.push(start(name, join(folder, name), links))
    }
    for (const region of started) {
      region.url = await region.ready
      region.documents = connect({ endpoint: region.url, region: region.name })
    }
  } catch (error) {
    await stop()
    throw error
  }
  return { regions: started, stop }
}

/**
 * Where each region listens for links of the others: they have to know it when they start, so ports are taken that are free now, below
 * those that the system gives to connections.
 * On one machine links may be plain; docs/guides/replicate.md has them with certificates of both sides.
 */
async function linksOf(names) {
  const links = {}
  for (const name of names) links[name] = await freePort(Object.values(links))
  return links
}

async function freePort(taken) {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000)
    const server = createServer()
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise((resolve) => server.close(resolve))
    if (isFree && !taken.includes(port)) return port
  }
}

function start(name, folder, links) {
  const config = join(folder, 'millrace.yaml')
  const regions = Object.fromEntries(
    Object.entries(links).map(([region, port]) => [region, { url: `http://127.0.0.1:${port}` }]),
  )
  const replication = { listen: { enabled: true, port: links[name] } }
  // YAML knows JSON.
  writeFileSync(config, JSON.stringify({ aws: { region: name }, regions, replication, ...uses }))
  const daemon = spawn(
    process.execPath,
    [main, 'serve', '--config', config, '--data', join(folder, 'data'), '--port', '0'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let log = ''
  daemon.stderr.on('data', (data) => {
    log = (log + data).slice(-20_000)
  })
  const ended = new Promise((resolve) => daemon.once('exit', resolve))
  const ready = new Promise((resolve, reject) => {
    createInterface({ input: daemon.stdout }).on('line', (line) => {
      const found = /^millrace ready (http:\S+)$/.exec(line)
      if (found) resolve(found[1])
    })
    ended.then((code) => reject(new Error(`the daemon of ${name} ended with ${code}:\n${log}`)))
  })
  // Whoever starts the other one may fail first.
  ready.catch(() => {})
  return { name, daemon, ended, ready }
}

/** Runs a command of `millrace` with a region's daemon; gives what it prints. */
export async function millrace({ url }, ...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--url', url], { cwd: root })
  return stdout
}
