import { readFileSync, statSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { MillraceError } from '../runtime/index.js'

/** Files (PEM): the authorities that may have signed the other side's certificate, this side's certificate, its key. */
export interface CertificateFiles {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** The content of the files, read again whenever they were changed: certificates are renewed while links are up. */
export class Certificates {
  readonly #files: CertificateFiles
  #read: { readonly state: string; readonly content: SecureContextOptions } | undefined

  constructor(files: CertificateFiles) {
    this.#files = files
  }

  /** The same object as long as nothing was changed. Throws CONFIG_INVALID when a file is not named, or cannot be read. */
  current(): SecureContextOptions {
    const { caFile, certFile, keyFile } = this.#files
    if ([caFile, certFile, keyFile].includes(''))
      throw new MillraceError('CONFIG_INVALID', 'replication.tls: caFile, certFile and keyFile go together.')
    // Before the content is read: what is changed meanwhile is read at the next call.
    const state = [caFile, certFile, keyFile].map(stateOf).join(' ')
    if (this.#read?.state !== state)
      this.#read = {
        state,
        content: { ca: read(caFile), cert: read(certFile), key: read(keyFile), minVersion: 'TLSv1.2' },
      }
    return this.#read.content
  }
}

function stateOf(path: string): string {
  const { ino, mtimeMs, size } = readable(path, () => statSync(path))
  return `${ino} ${mtimeMs} ${size}`
}

const read = (path: string): Buffer => readable(path, () => readFileSync(path))

function readable<Result>(path: string, look: () => Result): Result {
  try {
    return look()
  } catch (error) {
    throw new MillraceError('CONFIG_INVALID', `The file ${path} of the replication cannot be read.`, { cause: error })
  }
}
