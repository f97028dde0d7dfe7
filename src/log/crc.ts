/**
 * Arithmetic on CRC-32 values (the polynomial of zlib, bits reflected), for the checksum of bytes whose parts have been
 * summed already: a checksum is the rest of a polynomial over GF(2), so that bytes behind it multiply it by x^(8 n).
 */
const polynomial = 0xedb88320
/** The polynomial 1. */
const one = 0x8000_0000
/** x^1. */
const x = 0x4000_0000

function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= b
    b = b & 1 ? (b >>> 1) ^ polynomial : b >>> 1
  }
  return product >>> 0
}

/** x^(2^k) for each k. */
const squares = new Uint32Array(32)
for (let k = 0, power = x; k < 32; k++, power = multiply(power, power)) squares[k] = power

/**
 * The CRC-32 of bytes with checksum `before`, followed by `bytes` (below 2^29) bytes that alone would add nothing: xor
 * with the checksum of those bytes gives that of both.
 */
export function shiftCrc32(before: number, bytes: number): number {
  let power = one
  for (let k = 3, left = bytes; left > 0; k++, left >>>= 1) {
    if (left & 1) power = multiply(squares[k] as number, power)
  }
  return multiply(power, before)
}
