import { readFileSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { MillraceError } from '../runtime/index.js'

/** Files (PEM): the authorities that may have signed the other side's certificate, this side's certificate, its key. */
export interface CertificateFiles {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** Reads them. Throws CONFIG_INVALID when one is not named, or cannot be read. */
export function readCertificates({ caFile, certFile, keyFile }: CertificateFiles): SecureContextOptions {
  if ([caFile, certFile, keyFile].includes(''))
    throw new MillraceError('CONFIG_INVALID', 'replication.tls: caFile, certFile and keyFile go together.')
  return { ca: read(caFile), cert: read(certFile), key: read(keyFile), minVersion: 'TLSv1.2' }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new MillraceError('CONFIG_INVALID', `The file ${path} of the replication cannot be read.`, { cause: error })
  }
}
