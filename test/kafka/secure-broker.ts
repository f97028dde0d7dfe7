import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts } from '../free-ports.mjs'
import { type Broker, startBroker } from './broker.mjs'
import { newAuthority } from './certificates.js'

export const user = 'alice'
/** Passwords by mechanism; what no text may hold. */
export const passwords = {
  plain: 'plain+secret=4f1c9a',
  'scram-sha-256': 'scram256=secret-77b0e2',
  'scram-sha-512': 'scram512-secret-c03d18',
} as const

/** A token as a broker takes it that checks no signatures: who it is for, and until when. */
export function unsignedToken(subject: string, lifeMs = 3_600_000): string {
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  const now = Date.now()
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now / 1000, exp: (now + lifeMs) / 1000 })}.`
}

export interface SecureBroker {
  readonly broker: Broker
  /** `host:port` that wants TLS and SASL; its certificate is for 127.0.0.1 and broker.example. */
  readonly secure: string
  /** `host:port` whose certificate is for elsewhere.example alone; no SASL. */
  readonly elsewhere: string
  /** `host:port` that wants a certificate of the client and no SASL. */
  readonly mutual: string
  /** Certificates and keys by name, as paths: `ca`, `other-ca`, `client`, `client-key`. */
  file(name: string): string
}

/**
 * A broker with a listener for each kind of security beside the one without.
 * @param folder for certificates
 * @param sessionMs after which a client has to authenticate again; 0 is never
 */
export async function startSecureBroker(folder: string, sessionMs = 0): Promise<SecureBroker> {
  const authority = newAuthority('Millrace test authority')
  const here = authority.issue('broker', ['127.0.0.1', 'broker.example'])
  const away = authority.issue('broker', ['elsewhere.example'])
  const client = authority.issue('client')
  const file = (name: string): string => join(folder, `${name}.pem`)
  const files = {
    ca: authority.cert,
    'other-ca': newAuthority('Somebody else').cert,
    broker: here.key + here.cert,
    elsewhere: away.key + away.cert,
    client: client.cert,
    'client-key': client.key,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(file(name), text)
  const [secure, elsewhere, mutual] = (await freePorts(3)) as [number, number, number]
  const named = `SECURE://127.0.0.1:${secure},ELSEWHERE://127.0.0.1:${elsewhere},MUTUAL://127.0.0.1:${mutual}`
  const login = 'org.apache.kafka.common.security'
  const properties = [
    `listeners=PLAINTEXT://127.0.0.1:BROKER_PORT,CONTROLLER://127.0.0.1:CONTROLLER_PORT,${named}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:BROKER_PORT,${named}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,ELSEWHERE:SSL,MUTUAL:SSL',
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${file('broker')}`,
    `listener.name.elsewhere.ssl.keystore.location=${file('elsewhere')}`,
    'listener.name.elsewhere.ssl.keystore.type=PEM',
    'listener.name.mutual.ssl.client.auth=required',
    'listener.name.mutual.ssl.truststore.type=PEM',
    `listener.name.mutual.ssl.truststore.location=${file('ca')}`,
    `connections.max.reauth.ms=${sessionMs}`,
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    `listener.name.secure.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required user_${user}="${passwords.plain}";`,
    `listener.name.secure.scram-sha-256.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
    `listener.name.secure.scram-sha-512.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
    `listener.name.secure.oauthbearer.sasl.jaas.config=${login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
  ].join('\n')
  const scramUsers = [
    `SCRAM-SHA-256=[name=${user},iterations=4096,password="${passwords['scram-sha-256']}"]`,
    `SCRAM-SHA-512=[name=${user},iterations=4096,password="${passwords['scram-sha-512']}"]`,
  ]
  const broker = await startBroker({ properties, scramUsers })
  const at = (port: number): string => `127.0.0.1:${port}`
  return { broker, secure: at(secure), elsewhere: at(elsewhere), mutual: at(mutual), file }
}
