import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../runtime/index.js'

/** The last step of a bridge's messages, as it is stored with the bridge. */
export interface StoredConverter {
  /** The bundled module. */
  readonly bundle: string
  /** SHA-256 of it, in hex. */
  readonly hash: string
}

/** Throws BAD_REQUEST and TOO_LARGE. */
export function storedConverter(bundle: unknown, bytesMax: number): StoredConverter | undefined {
  if (bundle === undefined || bundle === null) return undefined
  if (typeof bundle !== 'string' || bundle === '')
    throw new MillraceError('BAD_REQUEST', 'converter is the text of a bundled module.')
  if (Buffer.byteLength(bundle) > bytesMax)
    throw new MillraceError('TOO_LARGE', `The converter is larger than pipelines.moduleBytesMax (${bytesMax}).`)
  return { bundle, hash: createHash('sha256').update(bundle).digest('hex') }
}

/** Puts a bundle where workers load it from; the store has it too, so what is lost there is made again. */
export function placeConverter(folder: string, { bundle, hash }: StoredConverter): string {
  const path = join(folder, `bridge-${hash}.mjs`)
  if (existsSync(path) && readFileSync(path, 'utf8') === bundle) return path
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, bundle)
  renameSync(temporary, path)
  return path
}
