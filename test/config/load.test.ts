import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  configSchema,
  credentialsOf,
  isAuthConfigured,
  type LoadOptions,
  leaves,
  loadConfig,
  valueAt,
} from '../../src/config/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import { temporaryFolder } from '../temporary-folder.js'

function fileOf(text: string): string {
  const file = join(temporaryFolder(), 'millrace.yaml')
  writeFileSync(file, text)
  return file
}

const load = (options: Partial<LoadOptions> = {}) => loadConfig({ file: fileOf(''), environment: {}, ...options })

/** The faults that are named. */
function faultsOf(options: Partial<LoadOptions>): readonly string[] {
  try {
    load(options)
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
    return (error as MillraceError).details.faults as string[]
  }
  throw new Error('no fault was found')
}

/** A value of the setting that is not its default, as text of a variable. */
function anotherValue(path: string): string {
  const leaf = leaves.find((each) => each.path === path)!
  const special = otherValues()[path]
  if (special !== undefined) return special
  if (leaf.choices) return leaf.choices.find((choice) => choice !== leaf.initial)!
  if (leaf.kind === 'boolean') return String(!leaf.initial)
  if (leaf.kind === 'list') return 'a.example, b.example'
  if (leaf.kind === 'number')
    return String(Math.min((leaf.initial as number) + 1, leaf.maximum ?? Number.MAX_SAFE_INTEGER))
  return './other'
}

const otherValues = (): Readonly<Record<string, string>> => ({
  'listen.host': 'localhost',
  'aws.region': 'eu-west-1',
  'aws.accountId': '111111111111',
  'auth.keys': 'KEY1:secret1, KEY2:secret2:token2',
  'auth.keysFile': fileOf('# who\nKEY3:secret3\n'),
  'auth.token': 'sixteen-or-more-characters',
  'auth.tokenFile': fileOf('sixteen-or-more-characters\n'),
  'kafka.brokers': 'a.example:9092, b.example:9092',
  regions: '{"eu-west-1":{"url":"http://127.0.0.1:8401"}}',
  'kafka.clusters': '{"main":{"brokers":["a.example:9092"]}}',
  functions: '{"count":{"path":"/functions/count.js"}}',
  'search.indexes': '{"words":{"table":"todo","fields":["title"]}}',
})

describe('where values come from', () => {
  test('without anything the defaults are in force, and they are valid', () => {
    const { config, sources } = load()
    expect(config).toEqual(configSchema.parse({}))
    expect(new Set(sources.values())).toEqual(new Set(['default']))
  })

  test('a variable beats the file, a flag beats the variable', () => {
    const file = fileOf('listen:\n  port: 1\nlogLevel: warn\ndurability: relaxed\n')
    const environment = { MILLRACE_LISTEN_PORT: '2', MILLRACE_LOG_LEVEL: 'debug' }
    const { config, sources } = load({ file, environment, flags: { 'listen.port': 3, dataDir: undefined } })
    expect(config.listen.port).toBe(3)
    expect(config.logLevel).toBe('debug')
    expect(config.durability).toBe('relaxed')
    expect(Object.fromEntries(sources)).toMatchObject({
      'listen.port': 'flag',
      logLevel: 'environment',
      durability: 'file',
      dataDir: 'default',
    })
  })

  test.each(leaves.map((leaf) => [leaf.variable, leaf.path]))('%s sets %s', (variable, path) => {
    const text = anotherValue(path)
    const { config, sources } = load({
      // A value may need its neighbours: these let each be set alone.
      file: fileOf('commit: {effectSetBytesMax: 1024}\nhttp: {bodyBytesMax: 1024}\npipelines: {stepTimeoutMs: 1}\n'),
      environment: { [variable]: text },
    })
    const value = valueAt(config, path)
    if (leaves.some((leaf) => leaf.path === path && leaf.kind === 'map')) expect(value).toMatchObject(JSON.parse(text))
    else expect(Array.isArray(value) ? value.join(', ') : String(value)).toBe(text)
    expect(sources.get(path)).toBe('environment')
  })

  test('no two settings share a variable', () => {
    expect(new Set(leaves.map((leaf) => leaf.variable)).size).toBe(leaves.length)
  })

  test('a section whose settings are all commented out is no fault', () => {
    expect(load({ file: fileOf('workers:\n  # threads:\nhttp:\n') }).config).toEqual(configSchema.parse({}))
  })

  test('what Kubernetes and linked containers set beside a service called millrace is passed over', () => {
    const environment = {
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_SERVICE_PORT: '8000',
      MILLRACE_SERVICE_PORT_HTTP: '8000',
      MILLRACE_PORT: 'tcp://10.0.0.1:8000',
      MILLRACE_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
      MILLRACE_PORT_8000_TCP_ADDR: '10.0.0.1',
    }
    expect(load({ environment }).config).toEqual(configSchema.parse({}))
  })
})

describe('what is wrong is named', () => {
  test('every fault at once', () => {
    const file = fileOf('lsten: {}\nhttp:\n  bodyBytesMax: much\n')
    const faults = faultsOf({ file, environment: { MILLRACE_LISTEN_PORT: '70000', MILLRACE_DURABILTY: 'synced' } })
    expect(faults).toHaveLength(4)
    expect(faults).toContainEqual('lsten: unknown; is listen meant?')
    expect(faults).toContainEqual('MILLRACE_DURABILTY: unknown; is MILLRACE_DURABILITY meant?')
    expect(faults).toContainEqual(expect.stringMatching(/^http\.bodyBytesMax: .*number/))
    expect(faults).toContainEqual(expect.stringMatching(/^listen\.port: .*\(MILLRACE_LISTEN_PORT\)$/))
  })

  test.each([
    ['commit: {freeBytesMn: 1}', 'commit.freeBytesMn: unknown; is commit.freeBytesMin meant?'],
    ['port: 1', 'port: unknown; is listen.port meant?'],
    ['log: {tailCacheBytes: 1}', 'log.tailCacheBytes: unknown; is log.tailCacheBytesMax meant?'],
    ['zzzzzzzzzz: 1', 'zzzzzzzzzz: unknown'],
    ['listen: 8000', 'listen: holds settings, not a value'],
    ['functions: {f: {path: f.js, timeout: 3}}', 'functions.f.timeout: unknown; is timeoutMs meant?'],
    [
      'functions: {f: {path: f.js, triggers: [{table: tab, batchsize: 5}]}}',
      'functions.f.triggers.0.batchsize: unknown; is batchSize meant?',
    ],
    ['functions: {f: {path: f.js, zzzzzzzzzz: 1}}', 'functions.f.zzzzzzzzzz: unknown'],
    [
      'search: {indexes: {"a b": {table: tab, fields: [x]}}}',
      'search.indexes.a b: is no name: letters, digits, dot, underscore and dash, 128 at most',
    ],
  ])('%s', (text, fault) => {
    expect(faultsOf({ file: fileOf(text) })).toEqual([fault])
  })

  test('MILLRACE_PORT means the port', () => {
    expect(faultsOf({ environment: { MILLRACE_PORT: '8000' } })).toEqual([
      'MILLRACE_PORT: unknown; is MILLRACE_LISTEN_PORT meant?',
    ])
  })

  test('a name with one letter too few leads to the name', () => {
    const places = leaves.flatMap((leaf) => {
      const name = leaf.path.slice(leaf.path.lastIndexOf('.') + 1)
      return [...name].map((_, i) => ({ leaf, wrong: name.slice(0, i) + name.slice(i + 1) }))
    })
    const known = new Set(leaves.flatMap((leaf) => leaf.path.split('.')))
    fc.assert(
      fc.property(fc.constantFrom(...places), ({ leaf, wrong }) => {
        if (wrong.length < 4 || known.has(wrong)) return
        const section = leaf.path.includes('.') ? leaf.path.slice(0, leaf.path.indexOf('.')) : undefined
        const text = section === undefined ? `${wrong}: 1` : `${section}: {${wrong}: 1}`
        // Two neighbours may be as near as each other; one of them is offered in any case.
        expect(faultsOf({ file: fileOf(text) })[0]).toMatch(/unknown; is [\w.]+ meant\?$/)
      }),
      { numRuns: 50 },
    )
  })

  test.each(['a: [', 'a: 1\na: 2', '- 1', 'just text', '&a [*a, *a]'])('the file %j', (text) => {
    expect(faultsOf({ file: fileOf(text) })[0]).toContain('millrace.yaml')
  })

  test('aliases that multiply are a fault and no memory', () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x]']
    for (let i = 0; i < 9; i++) lines.push(`${'bcdefghij'[i]}: &${'bcdefghij'[i]} [${`*${'abcdefghi'[i]},`.repeat(9)}]`)
    expect(faultsOf({ file: fileOf(lines.join('\n')) })[0]).toContain('millrace.yaml')
  })

  test('a file that is not there', () => {
    expect(() => load({ file: join(temporaryFolder(), 'none.yaml') })).toThrow(/cannot be read/)
  })

  test('settings that do not go together', () => {
    const file = fileOf(
      'pipelines: {stepTimeoutMs: 60000}\ncommit: {commitBytesMax: 1048576}\nhttp: {bodiesBytesMax: 1048576}\n',
    )
    expect(faultsOf({ file })).toEqual([
      'pipelines.barrierTimeoutMs: must be above pipelines.stepTimeoutMs',
      'commit.commitBytesMax: must not be below commit.effectSetBytesMax',
      'http.bodiesBytesMax: must not be below http.bodyBytesMax',
    ])
  })
})

describe('links between regions', () => {
  const outside = '{"eu-west-1": {"url": "http://db.eu:8400"}}'
  const secure = '{"eu-west-1": {"url": "https://db.eu:8400"}}'

  test.each([
    [`regions: ${outside}`, /^regions\.eu-west-1\.url: is not https; .*replication\.insecure/],
    [`regions: ${secure}`, /^regions\.eu-west-1\.url: is https, and replication\.tls is not given/],
    ['replication: {listen: {enabled: true, host: 0.0.0.0}}', /^replication\.listen\.host: .*replication\.insecure/],
    ['regions: {"eu-west-1": {"url": "ftp://db.eu"}}', /^regions\.eu-west-1\.url: must be an http\(s\) URL/],
    ['regions: {"not a region": {"url": "http://127.0.0.1:1"}}', /^regions/],
  ])('the file %j is refused', (text, fault) => {
    expect(faultsOf({ file: fileOf(text) })).toEqual([expect.stringMatching(fault)])
  })

  test('plain links are taken on loopback, for this region itself, and where they are said to be meant', () => {
    const tls = 'replication: {tls: {caFile: a, certFile: b, keyFile: c}}'
    for (const text of [
      'regions: {"eu-west-1": {"url": "http://127.0.0.1:8400"}}\nreplication: {listen: {enabled: true}}',
      `aws: {region: eu-west-1}\nregions: ${outside}`,
      `regions: ${outside}\nreplication: {insecure: true, listen: {enabled: true, host: 0.0.0.0}}`,
      `regions: ${secure}\n${tls}`,
    ])
      expect(Object.keys(load({ file: fileOf(text) }).config)).toContain('replication')
  })
})

describe('another address than loopback', () => {
  test.each(['0.0.0.0', '::', '192.168.1.7', 'example.com', '127.0.0.1.example.com', 'localhost.example.com'])(
    '%s is refused unless it is said to be meant',
    (host) => {
      expect(faultsOf({ environment: { MILLRACE_LISTEN_HOST: host } })).toEqual([
        expect.stringContaining('listen.insecure'),
      ])
      const environment = { MILLRACE_LISTEN_HOST: host, MILLRACE_LISTEN_INSECURE: 'true' }
      expect(load({ environment }).config.listen.host).toBe(host)
    },
  )

  test.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('%s needs nothing', (host) => {
    expect(load({ environment: { MILLRACE_LISTEN_HOST: host } }).config.listen.host).toBe(host)
  })
})

describe('credentials', () => {
  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY='

  test('let the daemon be reached from outside', () => {
    for (const setting of [
      { MILLRACE_AUTH_KEYS: `KEY1:${secret}` },
      { MILLRACE_AUTH_TOKEN: 'sixteen-or-more-characters' },
    ]) {
      const { config } = load({ environment: { MILLRACE_LISTEN_HOST: '0.0.0.0', ...setting } })
      expect(isAuthConfigured(config.auth)).toBe(true)
    }
    expect(isAuthConfigured(load().config.auth)).toBe(false)
  })

  test('come from settings and from files together', () => {
    const keysFile = fileOf(`# one a line\n\n  KEY2:${secret}:session  \nKEY3:other\n`)
    const { auth } = load({
      environment: { MILLRACE_AUTH_KEYS: `KEY1:${secret}`, MILLRACE_AUTH_KEYS_FILE: keysFile },
    }).config
    expect(credentialsOf(auth)).toEqual({
      keys: [
        { id: 'KEY1', secret, sessionToken: undefined },
        { id: 'KEY2', secret, sessionToken: 'session' },
        { id: 'KEY3', secret: 'other', sessionToken: undefined },
      ],
      token: undefined,
    })
  })

  test.for([
    ['half a key', { MILLRACE_AUTH_KEYS: secret }],
    ['four parts', { MILLRACE_AUTH_KEYS: `KEY1:a:b:${secret}` }],
    ['the same id twice', { MILLRACE_AUTH_KEYS: `KEY1:${secret},KEY1:other` }],
    ['no key in the file', { MILLRACE_AUTH_KEYS_FILE: '' }, '# none\n'],
    ['half a key in the file', { MILLRACE_AUTH_KEYS_FILE: '' }, `KEY1:a\n${secret}\n`],
    ['no such file', { MILLRACE_AUTH_KEYS_FILE: '/nowhere/keys' }],
    ['a short token', { MILLRACE_AUTH_TOKEN: 'short' }],
    ['an id that no request can name', { MILLRACE_AUTH_KEYS: `KEY/1:${secret}` }],
    ['such an id in the file', { MILLRACE_AUTH_KEYS_FILE: '' }, `KEY/1:${secret}\n`],
    ['a token that no header can carry', { MILLRACE_AUTH_TOKEN: 'ключ-к-этому-демону' }],
    ['such a token in the file', { MILLRACE_AUTH_TOKEN_FILE: '' }, 'ключ-к-этому-демону\n'],
    ['a short token in the file', { MILLRACE_AUTH_TOKEN_FILE: '' }, 'short\n'],
  ] as [string, Record<string, string>, string?][])(
    '%s is refused, and no message holds a secret',
    ([_what, variables, text]) => {
      const file = text === undefined ? undefined : fileOf(text)
      const environment = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, file ?? value]))
      const faults = faultsOf({ environment })
      expect(faults.length).toBeGreaterThan(0)
      expect(faults.join()).toContain('auth.')
      expect(faults.join()).not.toContain(secret)
    },
  )
})

test('the file of the project holds the defaults, and every setting but those of the machine', () => {
  const file = new URL('../../config/millrace.yaml', import.meta.url).pathname
  const { config, sources } = loadConfig({ file, environment: {} })
  expect(config).toEqual(configSchema.parse({}))
  const ofMachine = leaves.filter((leaf) => leaf.initialText !== undefined).map((leaf) => leaf.path)
  expect([...sources].filter(([, source]) => source === 'default').map(([path]) => path)).toEqual(ofMachine)
})

test('code of functions is found from the file that names it', () => {
  const file = fileOf('functions: {count: {path: ./functions/count.js}}\n')
  expect(load({ file }).config.functions.count?.path).toBe(join(dirname(file), 'functions/count.js'))
})
