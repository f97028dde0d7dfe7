/**
 * How deep a record's JSON may be nested. What is nested deeper can be parsed and then not be written again
 * (`JSON.stringify` recurses), so a single such record would keep every reader from all that follow it.
 */
export const jsonDepthMax = 1000

const quote = 0x22
const backslash = 0x5c

/** Whether a JSON text is nested deeper than `jsonDepthMax`; only a text of more bytes than that is walked. */
export function isTooDeep(json: Buffer): boolean {
  if (json.length <= jsonDepthMax) return false
  let depth = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i] as number
    if (inString) {
      if (byte === backslash) i++
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > jsonDepthMax) return true
    } else if (byte === 0x5d || byte === 0x7d) depth--
  }
  return false
}
