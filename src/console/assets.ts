import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A file of the console, as it is sent. */
export interface Asset {
  readonly type: string
  readonly body: Buffer
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/**
 * What a page of the console may do: load its own files and ask its own daemon. No script or style stands in the page
 * itself, and no text is ever parsed as HTML (trusted types), so that a name that somebody chose stays a name.
 */
export const consoleHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // After an upgrade of the daemon nobody may see its old pages.
  'cache-control': 'no-cache',
}

const assets = new Map<string, Asset>()

/** The file at a path below `/console`; undefined when there is none. Read once, when it is first asked for. */
export function consoleAsset(path: string): Asset | undefined {
  const name = path === '' || path === '/' ? 'index.html' : path.slice(1)
  const known = assets.get(name)
  if (known) return known
  // One plain name of one of our kinds: nothing else is ever looked for on the disk.
  const ending = /^[a-z-]+\.([a-z]+)$/.exec(name)?.[1]
  const type = ending === undefined ? undefined : types[ending]
  if (type === undefined) return undefined
  try {
    const body = readFileSync(fileURLToPath(new URL(`./browser/${name}`, import.meta.url)))
    const asset = { type, body }
    assets.set(name, asset)
    return asset
  } catch {
    return undefined
  }
}
