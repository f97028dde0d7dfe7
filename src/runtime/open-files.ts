import { readFileSync } from 'node:fs'

/**
 * How many files and connections this process may have open at once; Infinity where the system does not say. Node raises
 * the soft limit to the hard one when it starts.
 */
export function openFilesMax(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Infinity : Number(soft)
  } catch {
    return Infinity
  }
}
