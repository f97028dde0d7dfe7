import { closeSync, fdatasync, openSync, write } from 'node:fs'
import { join } from 'node:path'
import type { Percentiles } from './types.js'

export function percentiles(milliseconds: readonly number[]): Percentiles {
  const sorted = [...milliseconds].sort((a, b) => a - b)
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted[sorted.length - 1] ?? 0 }
}

const syncBytes = 64 * 1024
const syncs = 100

/** What the disk gives at best: 64 KiB written and synced, one after the other. */
export async function plainSyncs(folder: string): Promise<Percentiles> {
  const file = openSync(join(folder, 'plain'), 'w')
  const data = Buffer.alloc(syncBytes, 120)
  const times: number[] = []
  for (let i = 0; i < syncs; i++) {
    const began = performance.now()
    await new Promise<void>((resolve, reject) =>
      write(file, data, (error) =>
        error ? reject(error) : fdatasync(file, (late) => (late ? reject(late) : resolve())),
      ),
    )
    times.push(performance.now() - began)
  }
  closeSync(file)
  return percentiles(times)
}
