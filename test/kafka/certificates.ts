import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate and its private key, both in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An authority that signs certificates, itself signed by nobody else. */
export interface Authority extends Certificate {
  /** @param hosts names and addresses that it is for */
  issue(name: string, hosts?: readonly string[]): Certificate
}

const bytes = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const { length } = body
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}
const sequence = (...parts: readonly Buffer[]): Buffer => bytes(0x30, ...parts)
const isTrue = Buffer.from([0x01, 0x01, 0xff])

function objectId(text: string): Buffer {
  const [first, second, ...rest] = text.split('.').map(Number) as [number, number, ...number[]]
  const digits = rest.flatMap((number) => {
    const groups = [number & 0x7f]
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return bytes(0x06, Buffer.from([first * 40 + second, ...digits]))
}

const nameOf = (text: string): Buffer =>
  sequence(bytes(0x31, sequence(objectId('2.5.4.3'), bytes(0x0c, Buffer.from(text)))))
const timeOf = (ms: number): Buffer =>
  bytes(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))
const algorithm = sequence(objectId('1.2.840.10045.4.3.2'))
const dayMs = 24 * 60 * 60 * 1000

function extensionsOf(hosts: readonly string[], isAuthority: boolean): Buffer {
  const alternatives = hosts.map((host) =>
    isIP(host) ? bytes(0x87, Buffer.from(host.split('.').map(Number))) : bytes(0x82, Buffer.from(host)),
  )
  const constraints = sequence(objectId('2.5.29.19'), isTrue, bytes(0x04, sequence(...(isAuthority ? [isTrue] : []))))
  const names = sequence(objectId('2.5.29.17'), bytes(0x04, sequence(...alternatives)))
  return bytes(0xa3, sequence(constraints, ...(hosts.length > 0 ? [names] : [])))
}

let serial = 0

function certificate(of: {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signedBy: KeyObject
  readonly hosts: readonly string[]
  readonly isAuthority: boolean
}): string {
  const now = Date.now()
  const content = sequence(
    bytes(0xa0, bytes(0x02, Buffer.from([2]))),
    bytes(0x02, Buffer.from([++serial])),
    algorithm,
    nameOf(of.issuer),
    sequence(timeOf(now - dayMs), timeOf(now + dayMs)),
    nameOf(of.subject),
    of.publicKey.export({ type: 'spki', format: 'der' }),
    extensionsOf(of.hosts, of.isAuthority),
  )
  const signature = bytes(0x03, Buffer.from([0]), sign('sha256', content, of.signedBy))
  const base64 = sequence(content, algorithm, signature).toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string

export function newAuthority(issuer: string): Authority {
  const { publicKey, privateKey } = newKeys()
  return {
    cert: certificate({ subject: issuer, issuer, publicKey, signedBy: privateKey, hosts: [], isAuthority: true }),
    key: pemOf(privateKey),
    issue(subject, hosts = []) {
      const keys = newKeys()
      const { publicKey } = keys
      return {
        cert: certificate({ subject, issuer, publicKey, signedBy: privateKey, hosts, isAuthority: false }),
        key: pemOf(keys.privateKey),
      }
    },
  }
}
