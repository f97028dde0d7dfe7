import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { MillraceError } from '../runtime/index.js'

/** How a client shows who it is. */
export const saslMechanisms = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const
export type SaslMechanism = (typeof saslMechanisms)[number]

/** What it shows. */
export type SaslCredentials =
  | {
      readonly mechanism: Exclude<SaslMechanism, 'oauthbearer'>
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: 'oauthbearer'; readonly token: string }

/** Sends one message of the mechanism to the broker, and gives its answer. Rejects when the broker says no. */
export type SaslExchange = (message: Buffer) => Promise<Buffer>

/**
 * The messages of each mechanism, ours for every driver: kafkajs takes a cut connection for a wrong password and a refused token
 * for a taken one, and both libraries hide which of the two it was. Throws KAFKA_UNAUTHORIZED, and what `exchange` throws.
 * RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM), RFC 7628 (OAUTHBEARER).
 */
export async function authenticate(credentials: SaslCredentials, exchange: SaslExchange): Promise<void> {
  switch (credentials.mechanism) {
    case 'plain':
      await exchange(Buffer.from(`\0${credentials.username}\0${credentials.password}`))
      return
    case 'scram-sha-256':
      return scram('sha256', credentials, exchange)
    case 'scram-sha-512':
      return scram('sha512', credentials, exchange)
    case 'oauthbearer':
      return bearer(credentials.token, exchange)
  }
}

async function bearer(token: string, exchange: SaslExchange): Promise<void> {
  const answer = await exchange(Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`))
  if (answer.length === 0) return
  // A token that is refused is answered with why; the broker says no after one more message.
  await exchange(Buffer.from('\x01'))
  throw refusedBy(`the broker does not take the token (${statusOf(answer)})`)
}

/** `invalid_token` of `{"status":"invalid_token"}`. */
function statusOf(answer: Buffer): string {
  try {
    const { status } = JSON.parse(answer.toString()) as { status?: unknown }
    if (typeof status === 'string' && /^\w{1,64}$/.test(status)) return status
  } catch {
    // It says no, and not why.
  }
  return 'no reason given'
}

/** No encryption and no channel binding of its own: that is TLS's. */
const channel = 'n,,'
/** Fewer rounds than the RFC asks for would make a password cheap to guess for who only pretends to be the broker. */
const iterationsMin = 4096
const iterationsMax = 10_000_000
const derive = promisify(pbkdf2)

async function scram(
  hash: 'sha256' | 'sha512',
  { username, password }: { readonly username: string; readonly password: string },
  exchange: SaslExchange,
): Promise<void> {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest()
  const nonce = randomBytes(18).toString('base64')
  const first = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const challenge = (await exchange(Buffer.from(channel + first))).toString()
  const { r, s, i } = attributesOf(challenge)
  const iterations = Number(i)
  if (!r?.startsWith(nonce) || r.length === nonce.length || s === undefined)
    throw refusedBy('what answers does not speak SCRAM')
  if (!Number.isInteger(iterations) || iterations < iterationsMin || iterations > iterationsMax)
    throw refusedBy(`what answers asks for ${iterations} rounds, and ${iterationsMin} are the least`)
  const length = hash === 'sha256' ? 32 : 64
  // As Kafka does, the password's bytes are taken as they are: it does not normalize them.
  const salted = await derive(password, Buffer.from(s, 'base64'), iterations, length, hash)
  const withoutProof = `c=${Buffer.from(channel).toString('base64')},r=${r}`
  const signed = `${first},${challenge},${withoutProof}`
  const clientKey = hmac(salted, 'Client Key')
  const signature = hmac(createHash(hash).update(clientKey).digest(), signed)
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] as number)))
  const end = attributesOf((await exchange(Buffer.from(`${withoutProof},p=${proof.toString('base64')}`))).toString())
  const expected = hmac(hmac(salted, 'Server Key'), signed)
  const given = Buffer.from(end.v ?? '', 'base64')
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw refusedBy('what answers does not know the password itself: it is not the broker')
}

/** `r=...,s=...,i=4096` by its letters. */
function attributesOf(message: string): Readonly<Record<string, string>> {
  return Object.fromEntries(message.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}

function refusedBy(why: string): MillraceError {
  return new MillraceError('KAFKA_UNAUTHORIZED', `Kafka: ${why}.`, {
    details: { kafka: 'SASL_AUTHENTICATION_FAILED' },
  })
}
