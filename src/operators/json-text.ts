import { isFleeting, kept } from './kept.js'

/** JSON of any result. What JSON has no form for comes as it does elsewhere here: bigints as text, binary as base64. */
export function jsonOf(value: unknown, who: string): string {
  const json = JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, name, shown: unknown) {
    if (typeof shown === 'bigint') return String(shown)
    if (typeof shown !== 'object' || shown === null) return shown
    // Not what toJSON made of it: a Buffer has one of its own.
    const each = this[name]
    if (each instanceof Uint8Array) return Buffer.from(each.buffer, each.byteOffset, each.length).toString('base64')
    // A copy of a row that was made with spread has its fields only so.
    if (isFleeting(shown)) return kept(shown)
    if (shown instanceof Set) return [...shown]
    if (shown instanceof Map) return Object.fromEntries(shown)
    return shown
  }) as string | undefined
  if (json === undefined) throw new TypeError(`${who} was given something that JSON cannot hold.`)
  return json
}
