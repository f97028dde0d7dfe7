/** Table files of the store, of which RocksDB keeps 1,000 open, logs, and what pipelines, bridges and links have open. */
const otherFilesMax = 1_200

/**
 * Connections that may be open: `wanted`, or fewer where the process may have few files. A connection is an open file,
 * and clients must not take the last one: the store cannot begin a new file then, its write fails, and after some such
 * failures only a restart helps. Where there are not enough for everything, three of four are kept.
 */
export function connectionsMaxOf(wanted: number, openFilesMax: number): number {
  if (openFilesMax === Infinity) return wanted
  const kept = Math.min(otherFilesMax, Math.ceil(openFilesMax * 0.75))
  return Math.max(1, Math.min(wanted, openFilesMax - kept))
}
