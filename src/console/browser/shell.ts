/**
 * A word as a POSIX shell reads it back unchanged, whatever somebody chose as a name: what is not plain stands in quotes.
 * Control characters are written out, since a terminal may act on them when they are pasted.
 */
export function shellWord(text: string): string {
  if (/^[\w./:@%+,-]+$/.test(text)) return text
  if (/\p{Cc}/u.test(text)) return `$'${[...text].map(escaped).join('')}'`
  return `'${text.replaceAll("'", "'\\''")}'`
}

function escaped(letter: string): string {
  if (letter === "'" || letter === '\\') return `\\${letter}`
  const code = letter.codePointAt(0) as number
  const isControl = code < 32 || (code >= 127 && code < 160)
  if (!isControl) return letter
  // Its bytes: what a shell makes of `\u` depends on the locale of whoever pastes it.
  return [...new TextEncoder().encode(letter)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}

/** A command of `millrace`; options stand as one word each, so that a value may begin with a dash. */
export function command(words: readonly string[], options: Readonly<Record<string, string>> = {}): string {
  const named = Object.entries(options).map(([name, value]) => `--${name}=${shellWord(value)}`)
  return ['millrace', ...words.map(shellWord), ...named].join(' ')
}
