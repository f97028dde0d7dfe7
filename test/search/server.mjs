// A real OpenSearch server out of Maven's artifacts: for the tests, for bench/search.mjs, and by start-server.mjs for anybody.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../free-ports.mjs'

const recipe = join(dirname(fileURLToPath(import.meta.url)), 'server')
/** The version of the server. */
export const searchServerVersion = /<opensearch\.version>([^<]+)</.exec(
  readFileSync(join(recipe, 'pom.xml'), 'utf8'),
)[1]

/** How long a server may take until it is ready: a busy machine needs many times the usual five seconds. */
const readyMsMax = 300_000

/** Of the Java machine: half of the time that a start takes is the better compiler's. */
const quickStart = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

const runs = (command) => spawnSync(command, ['-version'], { stdio: 'ignore' }).status === 0

let available

/**
 * Whether a server can be started here: Java runs it, Maven fetches it. Says loudly what is left out when not, and throws in
 * CI, where nothing may be left out.
 */
export function searchServerAvailable() {
  if (available !== undefined) return available
  const missing = [!runs('java') && 'java (17 or newer)', !runs('mvn') && 'mvn (Maven)'].filter(Boolean)
  available = missing.length === 0
  if (!available) {
    const message = `LEFT OUT: everything that needs a search server, because there is no ${missing.join(' and no ')} here.`
    if (process.env.CI) throw new Error(`${message} In CI nothing may be left out.`)
    process.stderr.write(`\n*** ${message}\n\n`)
  }
  return available
}

/** The folder with the server's jars; Maven fetches them the first time and they stay in the user's cache. */
export function searchServerJars() {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'millrace-search')
  const jars = join(cache, `jars-${searchServerVersion}`)
  if (existsSync(jars)) return jars
  mkdirSync(cache, { recursive: true })
  const fetched = mkdtempSync(join(cache, 'fetching-'))
  process.stderr.write(`fetching OpenSearch ${searchServerVersion} with Maven (about 45 MB, once)\n`)
  const pom = join(recipe, 'pom.xml')
  const maven = spawnSync(
    'mvn',
    ['-B', '-q', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${fetched}`],
    { encoding: 'utf8' },
  )
  if (maven.status !== 0) {
    rmSync(fetched, { recursive: true, force: true })
    throw new Error(`Maven could not fetch OpenSearch:\n${maven.stdout}${maven.stderr}`)
  }
  try {
    renameSync(fetched, jars)
  } catch (error) {
    // Another process was quicker; its folder is as good as ours.
    rmSync(fetched, { recursive: true, force: true })
    if (!existsSync(jars)) throw error
  }
  return jars
}

class SearchServer {
  #directory
  #temporary
  #ports
  #machine
  #settings
  #child
  #exited

  constructor(directory, temporary, ports, machine, settings) {
    this.#directory = directory
    this.#temporary = temporary
    this.#ports = ports
    this.#machine = machine
    this.#settings = settings
  }

  get url() {
    return `http://127.0.0.1:${this.#ports[0]}`
  }

  get directory() {
    return this.#directory
  }

  get pid() {
    return this.#child?.pid
  }

  async start() {
    if (this.#child) throw new Error('the search server is running already')
    const logPath = join(this.#directory, 'server.log')
    const log = openSync(logPath, 'w')
    const child = spawn(
      'java',
      [
        ...this.#machine,
        ...['-Djava.io.tmpdir=.', '-XX:-UsePerfData'],
        '-Dlog4j2.level=WARN',
        ...['-cp', `${searchServerJars()}/*`, join(recipe, 'SearchServer.java')],
        ...[...this.#ports.map(String), join(this.#directory, 'home')],
        ...Object.entries(this.#settings).map(([name, value]) => `${name}=${value}`),
      ],
      { cwd: this.#directory, stdio: ['ignore', log, log] },
    )
    closeSync(log)
    this.#child = child
    const endWithUs = () => child.kill('SIGKILL')
    process.once('exit', endWithUs)
    this.#exited = new Promise((resolve) => {
      child.once('error', resolve)
      child.once('exit', resolve)
    }).then(() => {
      process.removeListener('exit', endWithUs)
      if (this.#child === child) this.#child = undefined
    })
    const deadline = Date.now() + readyMsMax
    while (!readFileSync(logPath, 'utf8').includes('Search server started')) {
      if (this.#child !== child)
        throw new Error(`the search server ended before it was ready:\n${readFileSync(logPath, 'utf8')}`)
      if (Date.now() > deadline) {
        await this.kill()
        throw new Error(`the search server was not ready after ${readyMsMax} ms:\n${readFileSync(logPath, 'utf8')}`)
      }
      await sleep(50)
    }
  }

  async kill() {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  async close() {
    await this.kill()
    if (this.#temporary) rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/**
 * Fetches what is missing, starts a server on loopback and waits until it answers. Ports are free ones unless given. It ends
 * with this process.
 */
export async function startSearchServer({ directory, port, machine = quickStart, settings = {} } = {}) {
  if (!searchServerAvailable()) throw new Error('a search server needs java and mvn')
  searchServerJars()
  const [free, transport] = await freePorts(2)
  const folder = directory ?? mkdtempSync(join(tmpdir(), 'millrace-search-'))
  mkdirSync(folder, { recursive: true })
  const server = new SearchServer(folder, directory === undefined, [port ?? free, transport], machine, settings)
  await server.start()
  return server
}
