import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'

/** Below this an answer fits one packet anyway, and packing would cost more than it saves. */
export const gzipBytesMin = 1024

const pack = promisify(gzip)

/** Whether a client takes gzip, by its Accept-Encoding. */
export function acceptsGzip(header: string | string[] | undefined): boolean {
  if (header === undefined) return false
  return /(^|,)\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*(,|$))[^,]*)?(,|$)/i.test(String(header))
}

/** Packs quickly rather than tightly, on the thread pool. */
export const packed = (body: Buffer): Promise<Buffer> => pack(body, { level: constants.Z_BEST_SPEED })
