import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { isLoopback } from '../config/index.js'
import { MillraceError } from '../runtime/index.js'

/** A header that a web page's plain form cannot send: without it nothing below /v1 is changed. */
export const guardHeader = 'x-millrace'

/** Who may be asked for. */
export interface CallerRules {
  readonly host: string
  readonly hosts: readonly string[]
  readonly insecure: boolean
  /** Whether everybody has to show a token, so that the daemon may be reached from outside. */
  readonly isGuarded?: boolean
}

/**
 * Keeps web pages out of the native API. A page in a browser on the same machine can reach a loopback port: by a plain
 * form, or under a name of its own that resolves to 127.0.0.1. So the Host must be one of ours, an Origin must name that
 * same host, and what changes something wants a header that needs a preflight. Throws FORBIDDEN.
 */
export function checkCaller(request: IncomingMessage, rules: CallerRules): void {
  checkHost(request, rules)
  if (request.method !== 'GET' && request.method !== 'HEAD' && request.headers[guardHeader] === undefined) {
    throw new MillraceError('FORBIDDEN', 'The header X-Millrace is missing.', {
      remedy: 'Send X-Millrace: 1 with every request that changes something.',
    })
  }
}

/** Whether somebody asks for us, and no page of elsewhere does. Browsers send an Origin with every POST. Throws FORBIDDEN. */
export function checkHost(request: IncomingMessage, rules: CallerRules): void {
  const { host, origin } = request.headers
  if (host === undefined || !isOurs(host, rules)) {
    throw new MillraceError('FORBIDDEN', `Requests for the host ${host ?? '(none)'} are not answered here.`, {
      remedy: 'Add the name to listen.hosts.',
    })
  }
  if (origin !== undefined && hostOf(origin) !== host)
    throw new MillraceError('FORBIDDEN', `Pages of ${origin} may not use this API.`)
}

/** An address can be trusted where a name cannot: only a name can be made to resolve to us by somebody else. */
function isOurs(header: string, { host, hosts, insecure, isGuarded = false }: CallerRules): boolean {
  const name = header.replace(/:\d+$/, '').toLowerCase()
  if (isLoopback(name) || name === host.toLowerCase() || hosts.some((each) => each.toLowerCase() === name)) return true
  return (insecure || isGuarded) && isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
