import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Config, type ConfigInput, configSchema } from '../../src/config/index.js'
import { type BridgeLogger, Clusters, type KafkaCluster, kafkaDrivers } from '../../src/kafka/index.js'
import { systemClock } from '../../src/runtime/index.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { kafkaAvailable } from './broker.mjs'
import { kafkaAt, readTopic } from './read-topic.js'
import { passwords, type SecureBroker, startSecureBroker, unsignedToken, user } from './secure-broker.js'

const here = kafkaAvailable()

type ClusterInput = NonNullable<NonNullable<ConfigInput['kafka']>['clusters']>[string]
type SaslInput = NonNullable<ClusterInput['sasl']>

describe.skipIf(!here)('a secured broker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  const clientSecret = 'client-secret-9c44e1'
  const wrong = 'wrong-secret-5ad0c7'
  let at: SecureBroker
  let endpoint: Server
  /** Everything that was logged, down to debug. */
  let logged = ''
  const take = (fields: object, message: string): void => {
    logged += `${JSON.stringify(fields)} ${message}\n`
  }
  const logger: BridgeLogger = { debug: take, info: take, warn: take, error: take }
  const tokens: string[] = []
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const endpointUrl = (): string => `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/token`

  beforeAll(async () => {
    ensureBuilt()
    at = await startSecureBroker(folder)
    endpoint = createServer((request, response) => {
      const isRight = request.headers.authorization === `Basic ${Buffer.from(`me:${clientSecret}`).toString('base64')}`
      if (isRight) tokens.push(unsignedToken(user))
      const answer = isRight ? { access_token: tokens.at(-1), expires_in: 3600 } : { error: 'invalid_client' }
      response.writeHead(isRight ? 200 : 401).end(JSON.stringify(answer))
    })
    await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
    const admin = kafkaAt(at.broker.address).admin()
    await admin.connect()
    await admin.createTopics({ topics: ['out', 'rotated'].map((topic) => ({ topic, numPartitions: 1 })) })
    await admin.disconnect()
  })
  afterAll(async () => {
    endpoint?.close()
    await at?.broker.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** A cluster as the configuration makes it. */
  function open(cluster: Partial<ClusterInput>): KafkaCluster {
    const { kafka }: Config = configSchema.parse({
      kafka: {
        clusters: { main: { brokers: [at.secure], tls: { enabled: true, caFile: at.file('ca') }, ...cluster } },
      },
    })
    return new Clusters(kafka.clusters, systemClock, logger).open({
      cluster: 'main',
      brokers: [],
      clientId: 'test',
      logger,
    })
  }

  const message = (value: string) => ({
    key: Buffer.from('k'),
    value: Buffer.from(value),
    partition: 0,
    timestamp: Date.now(),
    headers: {},
  })

  /** Goes through everything that makes connections: admin, producer, transaction, reading. */
  async function useAll(cluster: KafkaCluster, value: string, topic = 'out'): Promise<void> {
    const admin = await cluster.connectAdmin()
    expect(await admin.describeTopic(topic)).toMatchObject({ partitions: 1 })
    await admin.close()
    const producer = await cluster.connectTransactionalProducer('secure')
    await producer.begin()
    await producer.send(topic, [message(value)], 'none')
    await producer.commit()
    await producer.close()
    const stop = new AbortController().signal
    await cluster.readCommitted(topic, (each) => String(each.value) === value, stop)
  }

  const everyText = (error: unknown): string => {
    const { message, stack, cause } = error as Error
    const all = inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null })
    return `${message} ${stack} ${all} ${cause === undefined ? '' : everyText(cause)}`
  }
  const expectNoSecret = (text: string): void => {
    const written = [...Object.values(passwords), clientSecret, wrong, ...tokens]
    for (const secret of written) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(Buffer.from(secret).toString('base64'))
    }
  }

  async function refusal(cluster: Partial<ClusterInput>): Promise<unknown> {
    const error = await open(cluster)
      .connectProducer()
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'KAFKA_UNAUTHORIZED' })
    expectNoSecret(everyText(error))
    return error
  }

  const saslOf = (mechanism: keyof typeof passwords, password: string): SaslInput => ({
    mechanism,
    username: user,
    password,
  })

  describe.each(kafkaDrivers)('with %s', (driver) => {
    test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
      '%s: the right password, and a wrong one',
      async (mechanism) => {
        await useAll(open({ driver, sasl: saslOf(mechanism, passwords[mechanism]) }), `${driver} ${mechanism}`)
        expect(await refusal({ driver, sasl: saslOf(mechanism, wrong) })).toMatchObject({
          details: { kafka: 'SASL_AUTHENTICATION_FAILED' },
          remedy: expect.stringMatching(/Correct user name, password or token/),
        })
      },
    )

    test('oauthbearer: a token from a file or an endpoint, one that is over, and an endpoint that gives none', async () => {
      const [token, over] = [unsignedToken(user), unsignedToken(user, -60_000)]
      tokens.push(token, over)
      const tokenFile = file('token', token)
      const asks = (secret: string): SaslInput => ({
        mechanism: 'oauthbearer',
        tokenEndpoint: { url: endpointUrl(), clientId: 'me', clientSecretFile: file('client-secret', `${secret}\n`) },
      })
      await useAll(open({ driver, sasl: { mechanism: 'oauthbearer', tokenFile } }), `${driver} file`)
      await useAll(open({ driver, sasl: asks(clientSecret) }), `${driver} endpoint`)
      expect(await refusal({ driver, sasl: { mechanism: 'oauthbearer', token: over } })).toMatchObject({
        details: { kafka: 'SASL_AUTHENTICATION_FAILED' },
      })
      expect(await refusal({ driver, sasl: asks(wrong) })).toMatchObject({ message: expect.stringMatching(/HTTP 401/) })
    })

    test('a broker that does not show who it is, in each way', async () => {
      const sasl = saslOf('plain', passwords.plain)
      const withFile = (caFile: string) => refusal({ driver, sasl, tls: { enabled: true, caFile } })
      expect(await withFile(at.file('other-ca'))).toMatchObject({ remedy: expect.stringMatching(/tls\.caFile/) })
      expect(await refusal({ driver, sasl, tls: { enabled: true } })).toMatchObject({
        remedy: expect.stringMatching(/tls\.caFile/),
      })
      const tls = { enabled: true, caFile: at.file('ca') }
      expect(await refusal({ driver, brokers: [at.elsewhere], tls })).toMatchObject({
        details: { tls: 'ERR_TLS_CERT_ALTNAME_INVALID' },
        remedy: expect.stringMatching(/tls\.serverName/),
      })
      const named = { ...tls, serverName: 'elsewhere.example' }
      await useAll(open({ driver, brokers: [at.elsewhere], tls: named }), `${driver} named`)
      expect(await withFile(join(folder, 'nowhere.pem'))).toMatchObject({
        message: expect.stringMatching(/tls\.caFile.*nowhere\.pem cannot be read \(ENOENT\)/),
      })
      expect(await withFile(file('no-pem', '-----BEGIN CERTIFICATE-----\nAAAA\n'))).toMatchObject({
        message: expect.stringMatching(/holds no certificate in PEM/),
      })
      // A listener without TLS hangs up, as a broker does that is stopping: that is waited for.
      await expect(open({ driver, brokers: [at.broker.address], tls }).connectProducer()).rejects.toMatchObject({
        code: 'KAFKA_UNAVAILABLE',
        remedy: expect.stringMatching(/this listener speaks TLS/),
      })
    })

    test('a broker that wants a certificate of the client', async () => {
      const tls = { enabled: true, caFile: at.file('ca') }
      const pair = { certFile: at.file('client'), keyFile: at.file('client-key') }
      await useAll(open({ driver, brokers: [at.mutual], tls: { ...tls, ...pair } }), `${driver} mutual`)
      expect(await refusal({ driver, brokers: [at.mutual], tls })).toMatchObject({
        remedy: expect.stringMatching(/tls\.certFile/),
      })
    })

    test('files are read again for each connection', async () => {
      const passwordFile = file('rotated', wrong)
      const cluster = open({ driver, sasl: { mechanism: 'scram-sha-256', username: user, passwordFile } })
      await expect(cluster.connectProducer()).rejects.toMatchObject({ code: 'KAFKA_UNAUTHORIZED' })
      file('rotated', passwords['scram-sha-256'])
      await useAll(cluster, driver, 'rotated')
    })
  })

  test('no log line has held a secret', () => {
    expect(logged).not.toBe('')
    expectNoSecret(logged)
  })

  test('a bridge of a daemon waits with the remedy, goes on when the file is right, and no text or byte holds a secret', async () => {
    const passwordFile = file('password', wrong)
    const config = file(
      'millrace.yaml',
      JSON.stringify({
        kafka: {
          clusters: {
            main: {
              brokers: [at.secure],
              tls: { enabled: true, caFile: at.file('ca') },
              sasl: { mechanism: 'scram-sha-512', username: user, passwordFile },
            },
            other: { brokers: [at.secure], sasl: { mechanism: 'plain', username: user, password: passwords.plain } },
          },
        },
      }),
    )
    const data = join(folder, 'data')
    const daemon = await DaemonProcess.start({ data, args: ['--config', config], env: { MILLRACE_LOG_LEVEL: 'debug' } })
    const texts: string[] = []
    const show = async () => {
      const bridge = await daemon.v1<{ state: { kind: string; error?: { code: string; remedy: string } } }>(
        'GET',
        'bridges/b',
      )
      texts.push(JSON.stringify(bridge))
      return bridge.state
    }
    try {
      await daemon.v1('POST', 'streams', { name: 'in', shards: 1 })
      await daemon.v1('POST', 'streams/in/records', { records: [{ key: 'k', value: 1 }] })
      const bridge = { name: 'b', source: 'in', topic: 'bridged', partitions: 1 }
      const unknown = daemon.v1('POST', 'bridges', { ...bridge, cluster: 'mian' })
      await expect(unknown).rejects.toThrow(/No Kafka cluster mian is configured \(there are main, other\)/)
      await daemon.v1('POST', 'bridges', { ...bridge, cluster: 'main' })
      await expect.poll(show).toMatchObject({
        kind: 'waiting',
        error: { code: 'KAFKA_UNAUTHORIZED', remedy: expect.stringMatching(/Correct user name, password or token/) },
      })
      file('password', passwords['scram-sha-512'])
      await expect.poll(show).toMatchObject({ kind: 'running' })
      await expect.poll(async () => (await readTopic(at.broker.address, 'bridged')).length).toBe(1)
      const metrics = await fetch(`${daemon.url}/metrics`)
      texts.push(await metrics.text(), JSON.stringify(await daemon.v1('GET', 'status')))
    } finally {
      await daemon.stop()
    }
    const main = new URL('../../dist/cli/main.cjs', import.meta.url).pathname
    const shown = execFileSync(process.execPath, [main, 'config', 'show', '--config', config], { encoding: 'utf8' })
    expect(shown).toContain('(set, not shown)')
    for (const each of readdirSync(data, { recursive: true, withFileTypes: true })) {
      if (each.isFile()) texts.push(readFileSync(join(each.parentPath, each.name), 'latin1'))
    }
    expectNoSecret([...texts, shown, daemon.log].join('\n'))
  })
})
