import type { Stream } from '../log/index.js'
import { decodeKeyValue } from '../tables/index.js'

/**
 * A record's key, or the beginning of one, as people read it: of a table the partition key as DynamoDB writes it, of a
 * plain stream its text; hexadecimal what is neither.
 */
export function showKey({ kind }: Pick<Stream, 'kind'>, key: Buffer): string {
  if (kind === 'table') return keyValueOf(key) ?? cutKeyValueOf(key) ?? hexOf(key)
  const text = key.toString()
  return /^[^\p{C}]*$/u.test(text) && !text.includes('\ufffd') ? text : hexOf(key)
}

function keyValueOf(key: Buffer): string | undefined {
  try {
    return JSON.stringify(decodeKeyValue(key, 0).value)
  } catch {
    return undefined
  }
}

/** Of a long key only the beginning is known: it lacks the two zero bytes that end it. */
function cutKeyValueOf(key: Buffer): string | undefined {
  const ended = keyValueOf(Buffer.concat([key, Buffer.alloc(2)]))
  return ended && `${ended}...`
}

const hexOf = (key: Buffer): string => `0x${key.toString('hex')}`
