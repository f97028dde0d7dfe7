import { Family, type RowEffect } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import type { FunctionDefinition } from './definition.js'

/** What kind of row it is: the second byte of a key of `Family.function`. */
const Kind = { function: 1, code: 2, waitingCall: 3 } as const

const version = 1

const keyOf = (kind: number, ...parts: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([Family.function, kind]), ...parts])

const kindRange = (kind: number): { readonly gte: Buffer; readonly lt: Buffer } => ({
  gte: keyOf(kind),
  lt: keyOf(kind + 1),
})

/** `function` 1, name in UTF-8 -> version u8, JSON of the definition. */
export const functionRow = (definition: FunctionDefinition): RowEffect => ({
  key: keyOf(Kind.function, Buffer.from(definition.name)),
  value: Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(definition))]),
})
export const functionGone = (name: string): RowEffect => ({
  key: keyOf(Kind.function, Buffer.from(name)),
  value: undefined,
})
export const functionRows = kindRange(Kind.function)

/** Throws DATA_DIR_NEWER. */
export function decodeFunction(value: Buffer): FunctionDefinition {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A stored function has the row version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  return JSON.parse(value.toString('utf8', 1)) as FunctionDefinition
}

/** Of a function's code in one row. */
export const codePartBytes = 4 * 1024 * 1024

/** `function` 2, SHA-256 of the code (32 bytes), number of the part u16be -> bytes of the archive. */
export function codeKey(hash: string, part: number): Buffer {
  const number = Buffer.alloc(2)
  number.writeUInt16BE(part)
  return keyOf(Kind.code, Buffer.from(hash, 'hex'), number)
}
export const codeRows = kindRange(Kind.code)
export const hashOfCodeKey = (key: Buffer): string => key.toString('hex', 2, 34)
export const codePartsOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / codePartBytes))

/** A call that waits; what it holds is drawn in `waiting/waiting-call.ts`. */
export function waitingCallKey(number: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(number))
  return keyOf(Kind.waitingCall, bytes)
}
export const waitingCallRows = kindRange(Kind.waitingCall)
export const numberOfWaitingCall = (key: Buffer): number => Number(key.readBigUInt64BE(2))
