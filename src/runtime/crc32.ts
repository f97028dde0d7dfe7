import { createRequire } from 'node:module'
import { crc32 as zlibCrc32 } from 'node:zlib'

/** The prebuilt module that sums by the processor's own instructions; undefined where there is none for the platform. */
export interface NativeChecksums {
  crc32(bytes: Uint8Array, before?: number): number
  crc32c(bytes: Uint8Array): number
}

/** Of fewer bytes a sum costs less than the call. */
const nativeBytesMin = 512

let native: NativeChecksums | false | undefined

/** Loaded when something is summed for the first time. */
export function nativeChecksums(): NativeChecksums | undefined {
  if (native === undefined) {
    try {
      native = createRequire(import.meta.url)('@node-rs/crc32') as NativeChecksums
    } catch {
      native = false
    }
  }
  return native || undefined
}

/** The CRC-32 of zlib (RFC 1952), unsigned, of bytes that follow those whose checksum is `before`; several times as fast on large ones. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const sums = bytes.length < nativeBytesMin ? undefined : nativeChecksums()
  return sums ? sums.crc32(bytes, before) : zlibCrc32(bytes, before)
}
