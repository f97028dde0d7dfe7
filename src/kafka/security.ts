import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { type Clock, MillraceError } from '../runtime/index.js'
import { authenticate, type SaslCredentials, type SaslExchange, type SaslMechanism } from './sasl.js'
import { TokenSource } from './token-endpoint.js'

/** `kafka.clusters.NAME.tls` of the configuration. */
export interface TlsSettings {
  readonly enabled: boolean
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly keyPassphrase?: string | undefined
  readonly keyPassphraseFile?: string | undefined
  readonly serverName?: string | undefined
  readonly rejectUnauthorized: boolean
}

/** `kafka.clusters.NAME.sasl` of the configuration, which has checked that what belongs together is there. */
export interface SaslSettings {
  readonly mechanism: SaslMechanism
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly passwordFile?: string | undefined
  readonly token?: string | undefined
  readonly tokenFile?: string | undefined
  readonly tokenEndpoint?:
    | {
        readonly url: string
        readonly clientId: string
        readonly clientSecret?: string | undefined
        readonly clientSecretFile?: string | undefined
        readonly scope?: string | undefined
      }
    | undefined
}

/** What a TLS socket is made with. */
export interface TlsConnection {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: boolean
  /** In place of the broker's own name. */
  readonly servername?: string
}

/**
 * How a cluster is talked to. No secret leaves it: a driver is given what makes a connection, and asks for it anew for each one,
 * so that files whose content was changed are read again.
 */
export interface ClusterSecurity {
  /** Throws KAFKA_UNAUTHORIZED when a file cannot be read or holds something else. */
  readonly tls: (() => TlsConnection) | undefined
  readonly sasl:
    | {
        readonly mechanism: SaslMechanism
        /** Throws KAFKA_UNAUTHORIZED, KAFKA_UNAVAILABLE (the token endpoint), and what `exchange` throws. */
        authenticate(exchange: SaslExchange): Promise<void>
      }
    | undefined
}

export function clusterSecurity(
  cluster: string,
  settings: { readonly tls: TlsSettings; readonly sasl?: SaslSettings | undefined },
  clock: Clock,
): ClusterSecurity {
  const { tls, sasl } = settings
  const at = `kafka.clusters.${cluster}`
  return {
    tls: tls.enabled ? () => tlsConnection(`${at}.tls`, tls) : undefined,
    sasl: sasl && saslOf(`${at}.sasl`, sasl, clock),
  }
}

function tlsConnection(at: string, tls: TlsSettings): TlsConnection {
  const { caFile, certFile, keyFile, serverName, rejectUnauthorized } = tls
  const passphrase =
    tls.keyPassphrase ?? (tls.keyPassphraseFile && lineOf(`${at}.keyPassphraseFile`, tls.keyPassphraseFile))
  const files = {
    ca: caFile && authoritiesOf(`${at}.caFile`, caFile),
    cert: certFile && contentOf(`${at}.certFile`, certFile),
    key: keyFile && contentOf(`${at}.keyFile`, keyFile),
  }
  let secureContext: SecureContext
  try {
    secureContext = createSecureContext({ ...files, ...(passphrase ? { passphrase } : {}) })
  } catch (error) {
    throw unreadable(`${at}: what the files hold makes no TLS connection: ${(error as Error).message}`)
  }
  return { secureContext, rejectUnauthorized, ...(serverName === undefined ? {} : { servername: serverName }) }
}

function saslOf(at: string, sasl: SaslSettings, clock: Clock): ClusterSecurity['sasl'] {
  const { mechanism, tokenEndpoint } = sasl
  const tokens =
    tokenEndpoint &&
    new TokenSource(
      {
        url: tokenEndpoint.url,
        clientId: tokenEndpoint.clientId,
        clientSecret: () =>
          secretOf(`${at}.tokenEndpoint.clientSecret`, tokenEndpoint.clientSecret, tokenEndpoint.clientSecretFile),
        scope: tokenEndpoint.scope,
      },
      clock,
    )
  const credentials = async (): Promise<SaslCredentials> =>
    mechanism === 'oauthbearer'
      ? { mechanism, token: tokens ? await tokens.get() : secretOf(`${at}.token`, sasl.token, sasl.tokenFile) }
      : {
          mechanism,
          username: sasl.username ?? '',
          password: secretOf(`${at}.password`, sasl.password, sasl.passwordFile),
        }
  return {
    mechanism,
    async authenticate(exchange) {
      try {
        await authenticate(await credentials(), exchange)
      } catch (error) {
        tokens?.forget()
        throw error
      }
    },
  }
}

/** Node passes over what is no certificate, and trusts nobody then. */
function authoritiesOf(setting: string, file: string): string[] {
  const text = contentOf(setting, file).toString('latin1')
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  if (certificates.length === 0) throw unreadable(`${setting}: ${file} holds no certificate in PEM`)
  try {
    for (const each of certificates) new X509Certificate(each)
  } catch (error) {
    throw unreadable(`${setting}: a certificate in ${file} is damaged: ${(error as Error).message}`)
  }
  return certificates
}

/** What stands in the configuration, else the first line of the file. */
function secretOf(setting: string, given: string | undefined, file: string | undefined): string {
  return given ?? lineOf(`${setting}File`, file ?? '')
}

function lineOf(setting: string, file: string): string {
  const line = contentOf(setting, file).toString('utf8').split(/\r?\n/, 1)[0] as string
  if (line === '') throw unreadable(`${setting}: the first line of ${file} is empty`)
  return line
}

function contentOf(setting: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw unreadable(`${setting}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

const unreadable = (message: string): MillraceError =>
  new MillraceError('KAFKA_UNAUTHORIZED', `${message}.`, {
    remedy: 'Put the file there, readable for the daemon; it is read again at the next try.',
  })
