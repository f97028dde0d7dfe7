/**
 * How many starts, by the daemon's log, found bytes in a pipeline's file that no commit had taken in: the kill before each
 * of them came between the two parts of a pipeline's commit.
 */
export function commitsMet(log: string, fileName: string): number {
  let met = 0
  for (const line of log.split('\n')) if (line.includes('"cutBytes":') && line.includes(fileName)) met++
  return met
}
