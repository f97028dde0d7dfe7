import { createHash } from 'node:crypto'
import { type AttributeValue, ValidationError } from '../values/index.js'

/** Where a read goes on. */
export interface Position {
  /** The range that it stopped in, by its number in the plan. */
  readonly range: number
  /** The row that was read last; the range begins when there is none. */
  readonly row: Buffer | undefined
}

/*
 * A token: version u8, digest of the statement (16 bytes), range u16be, row; in base64. It holds nothing that the client did
 * not send or read.
 */
const version = 1
const digestBytes = 16
const headerBytes = 1 + digestBytes + 2

/** What a token belongs to: the table, the statement and its parameters, but not Limit or ConsistentRead. */
export function statementDigest(table: string, statement: string, parameters: readonly AttributeValue[]): Buffer {
  const parts = JSON.stringify([table, statement, parameters])
  return createHash('sha256').update(parts).digest().subarray(0, digestBytes)
}

export function encodeToken(digest: Buffer, { range, row }: Position): string {
  const head = Buffer.allocUnsafe(headerBytes)
  head[0] = version
  digest.copy(head, 1)
  head.writeUInt16BE(range, 1 + digestBytes)
  return Buffer.concat(row ? [head, row] : [head]).toString('base64')
}

/** Throws ValidationError for what is no token, or one of another request. */
export function decodeToken(token: string, digest: Buffer): Position {
  const bytes = Buffer.from(token, 'base64')
  if (bytes.length < headerBytes || bytes[0] !== version || bytes.toString('base64') !== token) throw invalidToken()
  if (!bytes.subarray(1, 1 + digestBytes).equals(digest)) throw new ValidationError('NextToken does not match request')
  const row = bytes.subarray(headerBytes)
  return { range: bytes.readUInt16BE(1 + digestBytes), row: row.length > 0 ? row : undefined }
}

export const invalidToken = (): ValidationError => new ValidationError('Invalid NextToken')
