// A real Kafka broker out of Maven's artifacts: for the tests, for the demo, and by start-broker.mjs for anybody.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../free-ports.mjs'

const recipe = join(dirname(fileURLToPath(import.meta.url)), 'broker')
const pomVersion = /<kafka\.version>([^<]+)</.exec(readFileSync(join(recipe, 'pom.xml'), 'utf8'))[1]

/** The version of the broker; MILLRACE_KAFKA_VERSION chooses another one. */
export const kafkaVersion = process.env.MILLRACE_KAFKA_VERSION ?? pomVersion

/** How long a broker may take until it is ready: a busy machine needs many times the usual two seconds. */
const readyMsMax = 180_000

const runs = (command, argument) => spawnSync(command, [argument], { stdio: 'ignore' }).status === 0

let available

/**
 * Whether a broker can be started here: Java runs it, Maven fetches it. Says loudly what is left out when not, and
 * throws in CI, where nothing may be left out.
 */
export function kafkaAvailable() {
  if (available !== undefined) return available
  const missing = [
    !runs('java', '-version') && 'java (17 or newer)',
    !existsSync(jarsOf(kafkaVersion)) && !runs('mvn', '-version') && 'mvn (Maven)',
  ].filter(Boolean)
  available = missing.length === 0
  if (!available) {
    const message = `LEFT OUT: everything that needs a Kafka broker, because there is no ${missing.join(' and no ')} here.`
    if (process.env.CI) throw new Error(`${message} In CI nothing may be left out.`)
    process.stderr.write(`\n*** ${message}\n*** Install them to run the Kafka tests.\n\n`)
  }
  return available
}

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'millrace-kafka')
const jarsOf = (version) => join(cache, `jars-${version}`)

/** The folder with the broker's jars; Maven fetches them the first time and they stay in the user's cache. */
export function brokerJars(version = kafkaVersion) {
  const jars = jarsOf(version)
  if (existsSync(jars)) return jars
  mkdirSync(cache, { recursive: true })
  const fetched = mkdtempSync(join(cache, 'fetching-'))
  process.stderr.write(`fetching the Kafka broker ${version} with Maven (about 45 MB, once)\n`)
  const maven = spawnSync(
    'mvn',
    [
      '-B',
      '-q',
      '-f',
      join(recipe, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${fetched}`,
      `-Dkafka.version=${version}`,
    ],
    { encoding: 'utf8' },
  )
  if (maven.status !== 0) {
    rmSync(fetched, { recursive: true, force: true })
    throw new Error(`Maven could not fetch the Kafka broker:\n${maven.stdout}${maven.stderr}`)
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

/** What libraries unpack lies in the broker's own folder and goes with it; and nothing in that of all users. */
const inItsFolder = ['-Djava.io.tmpdir=.', '-XX:-UsePerfData']

/** Small; and what runs for seconds only never earns back what Java's second compiler costs. */
const quickStart = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
/** For benchmarks: as fast as it becomes. */
export const fullSpeed = ['-Xmx512m', '-XX:+UseSerialGC']

/** Any 22 characters of base64url are a cluster id, except that a leading dash would read as an option. */
function clusterId() {
  for (;;) {
    const id = randomBytes(16).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

class Broker {
  #directory
  #temporary
  #jars
  #port
  #machine
  #child
  #exited

  constructor(directory, temporary, jars, port, machine) {
    this.#directory = directory
    this.#temporary = temporary
    this.#jars = jars
    this.#port = port
    this.#machine = machine
  }

  get address() {
    return `127.0.0.1:${this.#port}`
  }

  get directory() {
    return this.#directory
  }

  get pid() {
    return this.#child?.pid
  }

  async start() {
    if (this.#child) throw new Error('the broker is running already')
    const logPath = join(this.#directory, 'broker.log')
    const log = openSync(logPath, 'w')
    const level = '-Dorg.slf4j.simpleLogger'
    const child = spawn(
      'java',
      [
        ...this.#machine,
        ...inItsFolder,
        `${level}.defaultLogLevel=warn`,
        `${level}.log.kafka.server.KafkaRaftServer=info`,
        '-cp',
        `${this.#jars}/*`,
        'kafka.Kafka',
        'server.properties',
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
    while (!readFileSync(logPath, 'utf8').includes('Kafka Server started')) {
      if (this.#child !== child)
        throw new Error(`the broker ended before it was ready:\n${readFileSync(logPath, 'utf8')}`)
      if (Date.now() > deadline) {
        await this.kill()
        throw new Error(`the broker was not ready after ${readyMsMax} ms:\n${readFileSync(logPath, 'utf8')}`)
      }
      await sleep(50)
    }
  }

  async #end(signal) {
    this.#child?.kill(signal)
    await this.#exited
  }

  async stop() {
    await this.#end('SIGTERM')
  }

  async kill() {
    await this.#end('SIGKILL')
  }

  async restart() {
    await this.stop()
    await this.start()
  }

  async close() {
    await this.kill()
    if (this.#temporary) rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Clients are told another address than the broker's own, which it uses itself; of two lines for a setting the last one counts. */
function advertising(address, port, internal, controller) {
  return `
listeners=PLAINTEXT://127.0.0.1:${port},INTERNAL://127.0.0.1:${internal},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://${address},INTERNAL://127.0.0.1:${internal}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
`
}

/**
 * Fetches what is missing, formats a folder for the broker's data if it is new, starts the broker and waits until it
 * is ready. Ports are free ones unless given. The broker ends with this process.
 */
export async function startBroker(options = {}) {
  if (!kafkaAvailable()) throw new Error('a Kafka broker needs java and mvn')
  const jars = brokerJars(options.version)
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  mkdirSync(directory, { recursive: true })
  const [free, controller, internal] = await freePorts(3)
  const port = options.port ?? free
  const properties = `${readFileSync(join(recipe, 'server.properties'), 'utf8')}\n${options.properties ?? ''}`
    .replaceAll('BROKER_PORT', String(port))
    .replaceAll('CONTROLLER_PORT', String(controller))
  const advertised = options.advertised ? advertising(options.advertised, port, internal, controller) : ''
  writeFileSync(join(directory, 'server.properties'), properties + advertised)
  if (!existsSync(join(directory, 'data', 'meta.properties'))) {
    const format = spawnSync(
      'java',
      [
        ...quickStart,
        ...inItsFolder,
        ...['-cp', `${jars}/*`, 'kafka.tools.StorageTool', 'format', '-t', clusterId(), '-c', 'server.properties'],
        ...(options.scramUsers ?? []).flatMap((user) => ['--add-scram', user]),
      ],
      { cwd: directory, encoding: 'utf8' },
    )
    if (format.status !== 0)
      throw new Error(`the broker's folder could not be formatted:\n${format.stdout}${format.stderr}`)
  }
  const broker = new Broker(directory, options.directory === undefined, jars, port, options.machine ?? quickStart)
  await broker.start()
  return broker
}
