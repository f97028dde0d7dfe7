import { randomBytes } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'
const counterMax = 32 ** 4
let prefix = ''
let counter = counterMax

/** 52 characters, as AWS has them: 48 that are drawn for a million ids at once, and four that count. */
export function requestId(): string {
  if (counter >= counterMax) {
    prefix = ''
    for (const byte of randomBytes(48)) prefix += alphabet[byte & 31]
    counter = 0
  }
  const count = counter++
  return (
    prefix + alphabet[count >> 15] + alphabet[(count >> 10) & 31] + alphabet[(count >> 5) & 31] + alphabet[count & 31]
  )
}
