import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../runtime/index.js'
import { isSame } from './same-secret.js'

/**
 * Keeps everybody out of the native API, the metrics and the console who does not show the token: as a bearer token, or
 * as the password of any user, which is what a browser asks its user for. Without a token nobody gets in.
 * Throws UNAUTHENTICATED.
 */
export function checkToken(request: IncomingMessage, response: ServerResponse, token: string | undefined): void {
  if (token === undefined) {
    throw new MillraceError('UNAUTHENTICATED', 'Access keys are configured and no token: this path is closed.', {
      remedy: 'Set auth.token (MILLRACE_AUTH_TOKEN) for the daemon.',
    })
  }
  if (isSame(shown(request.headers.authorization) ?? '', token)) return
  response.setHeader('www-authenticate', 'Basic realm="millrace", charset="UTF-8"')
  throw new MillraceError('UNAUTHENTICATED', 'This path wants the token of the daemon.')
}

function shown(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  const space = authorization.indexOf(' ')
  const value = authorization.slice(space + 1).trim()
  switch (authorization.slice(0, space).toLowerCase()) {
    case 'bearer':
      return value
    case 'basic': {
      const pair = Buffer.from(value, 'base64').toString()
      return pair.slice(pair.indexOf(':') + 1)
    }
    default:
      return undefined
  }
}
