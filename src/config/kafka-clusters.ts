import { z } from 'zod'

/** `HOST:PORT` of a broker. */
export const brokerAddress = z.string().regex(/^[^\s:,/]+:\d{1,5}$/, { error: 'must be HOST:PORT' })

const text = (description: string) => z.string().min(1).optional().describe(description)
const secret = (description: string) => text(description).meta({ isSecret: true })

/** Names what is known beside what is not: an unknown name here is most often a misspelt secret, whose value is not shown. */
const section = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown: ${(issue.keys as string[]).join(', ')} (known: ${Object.keys(shape).join(', ')})`
        : undefined,
  })

const tls = section({
  enabled: z.boolean().default(false).describe('Whether connections are encrypted.'),
  caFile: text(
    'Certificates (PEM) of the authorities that may have signed those of the brokers; those of Node by default.',
  ),
  certFile: text("This client's own certificate (PEM) and what it was signed with, for brokers that ask for one."),
  keyFile: text('The private key (PEM) of that certificate.'),
  keyPassphrase: secret('What the private key is encrypted with.'),
  keyPassphraseFile: text('A file with that on its first line.'),
  serverName: text("The name in the brokers' certificates, where it is not that of their addresses."),
  rejectUnauthorized: z
    .boolean()
    .default(true)
    .describe('false takes any certificate, from anybody: for trying out alone.'),
})

const tokenEndpoint = section({
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
    .refine((url) => !URL.canParse(url) || new URL(url).password === '', {
      error: 'must hold no password: that is clientSecret',
    })
    .describe('Where a token is asked for (grant type client_credentials).'),
  clientId: z.string().min(1).describe('Who asks.'),
  clientSecret: secret('What shows it.'),
  clientSecretFile: text('A file with that on its first line.'),
  scope: text('What the token is asked for.'),
})

const sasl = section({
  mechanism: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'])
    .describe('How the client shows who it is.'),
  username: text('The user of plain and scram.'),
  password: secret("The user's password."),
  passwordFile: text('A file with that on its first line.'),
  token: secret('The token of oauthbearer.'),
  tokenFile: text('A file with that on its first line.'),
  tokenEndpoint: tokenEndpoint.optional().describe('Where tokens are given out, in place of one that is written down.'),
})

/** A cluster that bridges, sinks and sources name. Files are read at each connection, so that what is in them may change. */
export const clusterSchema = section({
  brokers: z.array(brokerAddress).min(1).max(100).describe('Brokers, each HOST:PORT.'),
  driver: z.enum(['kafkajs', 'platformatic']).default('kafkajs').describe('The library that talks to it.'),
  tls: tls.prefault({}).describe('Encryption, and who the brokers are.'),
  sasl: sasl.optional().describe('Who the client is.'),
}).superRefine((cluster, context) => {
  for (const [path, message] of faultsOf(cluster)) context.addIssue({ code: 'custom', path: path.split('.'), message })
})

interface ClusterShape {
  readonly tls: z.output<typeof tls>
  readonly sasl?: z.output<typeof sasl> | undefined
}

/** What one setting of a cluster cannot know of another. Never with a value in it. */
function* faultsOf({ tls, sasl }: ClusterShape): Generator<readonly [path: string, message: string]> {
  const { enabled, rejectUnauthorized, ...more } = tls
  if (!enabled && (!rejectUnauthorized || Object.values(more).some((value) => value !== undefined)))
    yield ['tls.enabled', 'is not true, and other settings of tls are given']
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    yield ['tls.keyFile', 'certFile and keyFile go together']
  if (tls.keyPassphrase !== undefined && tls.keyPassphraseFile !== undefined)
    yield ['tls.keyPassphrase', 'is given twice, here and as keyPassphraseFile']
  if (!sasl) return
  const { mechanism, username, password, passwordFile, token, tokenFile, tokenEndpoint } = sasl
  const isGiven = (...values: readonly unknown[]): number => values.filter((value) => value !== undefined).length
  if (mechanism === 'oauthbearer') {
    if (isGiven(username, password, passwordFile) > 0) yield ['sasl.username', 'oauthbearer has a token, and no user']
    if (isGiven(token, tokenFile, tokenEndpoint) !== 1)
      yield ['sasl.token', 'oauthbearer wants one of token, tokenFile and tokenEndpoint']
    if (tokenEndpoint && isGiven(tokenEndpoint.clientSecret, tokenEndpoint.clientSecretFile) !== 1)
      yield ['sasl.tokenEndpoint.clientSecret', 'one of clientSecret and clientSecretFile is wanted']
    return
  }
  if (isGiven(token, tokenFile, tokenEndpoint) > 0) yield ['sasl.token', `${mechanism} has a password, and no token`]
  if (username === undefined) yield ['sasl.username', `${mechanism} wants one`]
  if (isGiven(password, passwordFile) !== 1) yield ['sasl.password', 'one of password and passwordFile is wanted']
}
