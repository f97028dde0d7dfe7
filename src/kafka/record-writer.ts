/*
 * Records as they lie in a batch of the format that Kafka calls v2: length, attributes, time and place behind those of the first, key,
 * value, headers. Numbers are zigzag varints.
 */

/** A message as it goes into a batch of records. */
export interface BatchMessage {
  readonly key?: Buffer | null
  readonly value: Buffer | null
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Bytes of a record behind its length. @param index its place in the batch */
export function recordBytes(
  { key, value, timestamp, headers }: BatchMessage,
  index: number,
  firstTimestamp: number,
): number {
  let bytes = 1 + varintBytes(timestamp - firstTimestamp) + varintBytes(index)
  bytes += key ? varintBytes(key.length) + key.length : 1
  bytes += value ? varintBytes(value.length) + value.length : 1
  let count = 0
  for (const name in headers) {
    const nameBytes = utf8Bytes(name)
    const valueBytes = utf8Bytes(headers[name] as string)
    bytes += varintBytes(nameBytes) + nameBytes + varintBytes(valueBytes) + valueBytes
    count++
  }
  return bytes + varintBytes(count)
}

/** Writes a record behind its length; returns the end of it. */
export function putRecord(
  into: Buffer,
  start: number,
  { key, value, timestamp, headers }: BatchMessage,
  index: number,
  firstTimestamp: number,
): number {
  into[start] = 0
  let at = putVarint(into, start + 1, timestamp - firstTimestamp)
  at = putVarint(into, at, index)
  at = putBytes(into, at, key)
  at = putBytes(into, at, value)
  let count = 0
  for (const _ in headers) count++
  at = putVarint(into, at, count)
  for (const name in headers) {
    at = putText(into, at, name)
    at = putText(into, at, headers[name] as string)
  }
  return at
}

/** Null has the length -1, which is 1 as a varint. */
function putBytes(into: Buffer, at: number, bytes: Buffer | null | undefined): number {
  if (!bytes) {
    into[at] = 1
    return at + 1
  }
  const from = putVarint(into, at, bytes.length)
  into.set(bytes, from)
  return from + bytes.length
}

/** Short texts, mostly ASCII: copied faster here than by a call of the runtime, and taken for ASCII until a character is none. */
function putText(into: Buffer, at: number, text: string): number {
  const { length } = text
  let to = putVarint(into, at, length)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return putUtf8(into, at, text)
    into[to++] = code
  }
  return to
}

function putUtf8(into: Buffer, at: number, text: string): number {
  const bytes = Buffer.byteLength(text)
  const to = putVarint(into, at, bytes)
  return to + into.write(text, to, bytes, 'utf8')
}

function utf8Bytes(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return Buffer.byteLength(text)
  return text.length
}

/** Bytes of a whole number as a zigzag varint. */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let left = value < 0 ? -value - 1 : value; left >= 64; left = Math.floor(left / 128)) bytes++
  return bytes
}

export function putVarint(into: Buffer, start: number, value: number): number {
  let left = value < 0 ? -value * 2 - 1 : value * 2
  let at = start
  for (; left >= 2 ** 31; left = Math.floor(left / 128)) into[at++] = (left % 128) | 128
  // Nearly always: an integer of the machine from here on.
  let low = left | 0
  for (; low >= 128; low >>>= 7) into[at++] = (low & 127) | 128
  into[at] = low
  return at + 1
}
