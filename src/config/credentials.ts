import { readFileSync } from 'node:fs'
import { MillraceError } from '../runtime/index.js'
import { type Config, keyForm, tokenForm } from './schema.js'

/** What signs requests of the AWS protocol. */
export interface AccessKey {
  readonly id: string
  readonly secret: string
  /** A temporary key is valid only beside its token. */
  readonly sessionToken: string | undefined
}

export interface Credentials {
  readonly keys: readonly AccessKey[]
  /** For the native API, the metrics and the console. */
  readonly token: string | undefined
}

type Auth = Config['auth']

/** Whether anybody has to show who asks; then what has no credentials is closed. */
export function isAuthConfigured(auth: Auth): boolean {
  return auth.keys.length > 0 || auth.keysFile !== '' || auth.token !== '' || auth.tokenFile !== ''
}

/** Reads the files that the settings name. Throws CONFIG_INVALID, never with a secret in its message. */
export function credentialsOf(auth: Auth): Credentials {
  const written = auth.keysFile === '' ? [] : keysIn(auth.keysFile)
  const keys = [...auth.keys, ...written].map(keyOf)
  const ids = new Set<string>()
  for (const { id } of keys) {
    if (ids.has(id)) throw invalid(`auth.keys: ${id} is there twice`)
    ids.add(id)
  }
  return { keys, token: tokenOf(auth) }
}

function keysIn(file: string): string[] {
  const lines = textOf('auth.keysFile', file).split('\n')
  const keys = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  if (keys.length === 0) throw invalid(`auth.keysFile: ${file} holds no key`)
  for (const key of keys) {
    if (!keyForm.test(key)) throw invalid(`auth.keysFile: a line of ${file} is not ACCESS_KEY_ID:SECRET_ACCESS_KEY`)
  }
  return keys
}

function keyOf(text: string): AccessKey {
  const [id, secret, sessionToken] = text.split(':') as [string, string, string | undefined]
  return { id, secret, sessionToken }
}

function tokenOf({ token, tokenFile }: Auth): string | undefined {
  if (token !== '') return token
  if (tokenFile === '') return undefined
  const written = textOf('auth.tokenFile', tokenFile).trim()
  if (!tokenForm.test(written))
    throw invalid(`auth.tokenFile: the token in ${tokenFile} must be at least 16 characters of ASCII without spaces`)
  return written
}

function textOf(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw invalid(`${setting}: ${file} cannot be read: ${(error as Error).message}`)
  }
}

const invalid = (message: string): MillraceError => new MillraceError('CONFIG_INVALID', message)
