import { nearest } from '../runtime/index.js'
import { type Leaf, leaves } from './leaves.js'
import type { Settings } from './settings.js'

/** Variables of the command, the tests and the benchmarks. */
const notSettings = /^MILLRACE_(URL|CONFIG|LONG|TEST_.*|BENCH_.*|KAFKA_VERSION)$/

/** What Kubernetes and linked containers set by themselves beside a service that is called `millrace`. */
const ofServices = /^MILLRACE_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP)(_.*)?|NAME|ENV_.*)$/

/** Takes the variables `MILLRACE_*`. */
export function takeEnvironment(environment: Readonly<Record<string, string | undefined>>, settings: Settings): void {
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('MILLRACE_') || text === undefined || isForOthers(name, text)) continue
    const leaf = leaves.find((each) => each.variable === name)
    if (leaf) settings.place(leaf.path, parsed(leaf, text), 'environment')
    else settings.faults.push(unknownVariable(name))
  }
}

const isForOthers = (name: string, text: string): boolean =>
  notSettings.test(name) || ofServices.test(name) || (name === 'MILLRACE_PORT' && /^(tcp|udp):\/\//.test(text))

function unknownVariable(name: string): string {
  const near =
    nearest(
      name,
      leaves.map((leaf) => leaf.variable),
    ) ?? leaves.find((leaf) => leaf.variable.endsWith(name.slice('MILLRACE'.length)))?.variable
  return `${name}: unknown${near ? `; is ${near} meant?` : ''}`
}

/** What does not look like the kind of its setting is left as text, for the schema to refuse. */
function parsed(leaf: Leaf, text: string): unknown {
  switch (leaf.kind) {
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'list':
      return text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    case 'map':
      return mapOf(text)
    case 'string':
      return text
  }
}

function mapOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
