import { Family } from '../commit/index.js'
import type { Storage } from '../storage/index.js'

const pageBytes = 1 << 20

/** The rows of a store by family; those of a byte that no family has are counted under it. */
export async function countRows(storage: Storage): Promise<Record<string, number>> {
  const names = new Map<number, string>(Object.entries(Family).map(([name, byte]) => [byte, name]))
  const rows: Record<string, number> = {}
  for await (const page of storage.scan({ gte: Buffer.from([0]), bytesMax: pageBytes, values: false })) {
    for (const key of page.keys) {
      const byte = key[0] as number
      const name = names.get(byte) ?? `0x${byte.toString(16).padStart(2, '0')}`
      rows[name] = (rows[name] ?? 0) + 1
    }
  }
  return rows
}
