import { describe, expect, test } from 'vitest'
import { leaves, loadConfig, shownValue, valueAt } from '../../src/config/index.js'
import type { MillraceError } from '../../src/runtime/index.js'

const secret = 'hunter2-hunter2'
const brokers = ['a.example:9092']
const load = (clusters: object) =>
  loadConfig({ environment: {}, flags: { 'kafka.clusters': clusters } }).config.kafka.clusters

function faultsOf(cluster: object): string {
  try {
    load({ main: cluster })
  } catch (error) {
    return ((error as MillraceError).details.faults as string[]).join('\n')
  }
  return ''
}

describe('clusters', () => {
  test('have defaults, and as many as there are names', () => {
    expect(load({ a: { brokers }, 'b.c-d': { brokers, tls: { enabled: true } } })).toEqual({
      a: { brokers, driver: 'kafkajs', tls: { enabled: false, rejectUnauthorized: true } },
      'b.c-d': { brokers, driver: 'kafkajs', tls: { enabled: true, rejectUnauthorized: true } },
    })
  })

  test.each([
    ['no brokers', {}, /main\.brokers/],
    ['an address that is none', { brokers: [`sasl://${secret}`] }, /HOST:PORT/],
    [
      'an unknown name',
      { brokers, sasl: { mechanism: 'plain', username: 'u', pasword: secret } },
      /unknown: pasword \(known: .*password/,
    ],
    ['an unknown mechanism', { brokers, sasl: { mechanism: secret } }, /sasl\.mechanism/],
    ['no user', { brokers, sasl: { mechanism: 'plain', password: secret } }, /sasl\.username: plain wants one/],
    ['no password', { brokers, sasl: { mechanism: 'plain', username: 'u' } }, /one of password and passwordFile/],
    [
      'two passwords',
      { brokers, sasl: { mechanism: 'plain', username: 'u', password: secret, passwordFile: 'f' } },
      /one of password/,
    ],
    [
      'a token for a password',
      { brokers, sasl: { mechanism: 'plain', username: 'u', password: secret, token: secret } },
      /no token/,
    ],
    [
      'a password for a token',
      { brokers, sasl: { mechanism: 'oauthbearer', password: secret, token: secret } },
      /no user/,
    ],
    ['no token', { brokers, sasl: { mechanism: 'oauthbearer' } }, /one of token, tokenFile and tokenEndpoint/],
    [
      'a password in a URL',
      {
        brokers,
        sasl: {
          mechanism: 'oauthbearer',
          tokenEndpoint: { url: `http://u:${secret}@h/`, clientId: 'c', clientSecret: secret },
        },
      },
      /must hold no password/,
    ],
    ['TLS settings without TLS', { brokers, tls: { caFile: 'ca.pem' } }, /tls\.enabled: is not true/],
    ['a certificate without its key', { brokers, tls: { enabled: true, certFile: 'c.pem' } }, /go together/],
    ['something else', secret, /main/],
  ])('%s is a fault that names the place and no secret', (_what, cluster, message) => {
    const faults = faultsOf(cluster as object)
    expect(faults).toMatch(message)
    expect(faults).not.toContain(secret)
  })

  test('are shown without their secrets', () => {
    const { config } = loadConfig({
      environment: {
        MILLRACE_KAFKA_CLUSTERS: JSON.stringify({
          plain: {
            brokers,
            tls: { enabled: true, keyPassphrase: secret, keyFile: 'k', certFile: 'c' },
            sasl: { mechanism: 'plain', username: 'u', password: secret },
          },
          token: { brokers, sasl: { mechanism: 'oauthbearer', token: secret } },
          asked: {
            brokers,
            sasl: {
              mechanism: 'oauthbearer',
              tokenEndpoint: { url: 'http://h/', clientId: 'c', clientSecret: secret },
            },
          },
        }),
      },
    })
    const leaf = leaves.find(({ path }) => path === 'kafka.clusters')!
    const shown = JSON.stringify(shownValue(leaf, valueAt(config, leaf.path)))
    expect(shown).not.toContain(secret)
    expect(shown.match(/\(set, not shown\)/g)).toHaveLength(4)
    expect(shown).toContain('"username":"u"')
    // What is in force is as it was.
    expect(JSON.stringify(config.kafka.clusters)).toContain(secret)
  })
})
