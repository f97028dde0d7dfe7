import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { authenticate } from '../../src/kafka/sasl.js'

const credentials = { mechanism: 'scram-sha-256', username: 'user', password: 'pencil' } as const

/** A server of SCRAM as the RFC writes it. @param more what it does otherwise */
function server(
  { mechanism, password }: { readonly mechanism: 'scram-sha-256' | 'scram-sha-512'; readonly password: string },
  more: { readonly iterations?: number; readonly nonce?: string; readonly knows?: string } = {},
) {
  const hash = mechanism === 'scram-sha-256' ? 'sha256' : 'sha512'
  const length = hash === 'sha256' ? 32 : 64
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const iterations = more.iterations ?? 4096
  const salted = pbkdf2Sync(more.knows ?? password, salt, iterations, length, hash)
  const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  const seen: string[] = []
  let first = ''
  let challenge = ''
  return {
    seen,
    exchange: async (message: Buffer): Promise<Buffer> => {
      const text = message.toString()
      seen.push(text)
      if (first === '') {
        first = text.slice('n,,'.length)
        const nonce = more.nonce ?? `${first.split('r=')[1]}%hvYDpWUa2RaTCAfuxFIlj)hNlF`
        challenge = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`
        return Buffer.from(challenge)
      }
      const [withoutProof, proof] = text.split(',p=') as [string, string]
      const signed = `${first},${challenge},${withoutProof}`
      const stored = createHash(hash).update(hmac(salted, 'Client Key')).digest()
      const signature = hmac(stored, signed)
      const key = Buffer.from(Buffer.from(proof, 'base64').map((byte, at) => byte ^ signature[at]!))
      const isRight = timingSafeEqual(createHash(hash).update(key).digest(), stored)
      if (!isRight && more.knows === undefined) throw new Error('wrong password')
      return Buffer.from(`v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`)
    },
  }
}

const endless = () => async (message: Buffer) =>
  Buffer.from(`r=${message.toString().split('r=')[1]}x,s=AAAA,i=${2 ** 40}`)

describe('SCRAM', () => {
  test.each(['scram-sha-256', 'scram-sha-512'] as const)(
    '%s shows that both sides know the password',
    async (mechanism) => {
      await authenticate({ ...credentials, mechanism }, server({ mechanism, password: 'pencil' }).exchange)
      await expect(
        authenticate({ ...credentials, mechanism }, server({ mechanism, password: 'eraser' }).exchange),
      ).rejects.toThrow('wrong password')
    },
  )

  test('a password is taken as it is, as Kafka does, also where Unicode has another form of it', async () => {
    const password = 'pass\u00a0\ufb01\u2460'
    await authenticate({ ...credentials, password }, server({ ...credentials, password }).exchange)
  })

  test('names with the letters that it writes with', async () => {
    const { seen, exchange } = server(credentials)
    await authenticate({ ...credentials, username: 'a=b,c=d,e' }, exchange)
    expect(seen[0]).toMatch(/^n,,n=a=3Db=2Cc=3Dd=2Ce,r=[^,]+$/)
  })

  test.each([
    ['does not know the password', { knows: 'eraser' }, /not the broker/],
    ['answers with a nonce of its own', { nonce: 'rOprNGfwEbeRWgbNEkqO' }, /does not speak SCRAM/],
    ['asks for few rounds', { iterations: 1 }, /4096 are the least/],
    ['asks for rounds without end', { iterations: 0 }, /4096 are the least/],
  ])('takes nothing from a server that %s', async (_what, more, message) => {
    const asked = 'iterations' in more && more.iterations === 0 ? endless() : server(credentials, more).exchange
    await expect(authenticate(credentials, asked)).rejects.toMatchObject({
      code: 'KAFKA_UNAUTHORIZED',
      message: expect.stringMatching(message),
    })
  })
})

test('OAUTHBEARER: a token that is answered with a reason is refused, after the message that the broker waits for', async () => {
  const seen: string[] = []
  const answers = ['{"status":"invalid_token"}', '']
  const exchange = async (message: Buffer) => {
    seen.push(message.toString())
    return Buffer.from(answers.shift() ?? '')
  }
  await expect(authenticate({ mechanism: 'oauthbearer', token: 'abc' }, exchange)).rejects.toMatchObject({
    code: 'KAFKA_UNAUTHORIZED',
    message: expect.stringContaining('invalid_token'),
  })
  expect(seen).toEqual(['n,,\x01auth=Bearer abc\x01\x01', '\x01'])
})
