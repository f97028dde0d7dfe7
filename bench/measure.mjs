// What every benchmark prints beside its figures: the machine, and the p50 and p99 of a 64 KiB write + fdatasync.
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, write } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'

export const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]

export function summary(milliseconds) {
  const sorted = [...milliseconds].sort((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted[sorted.length - 1] }
}

/** Milliseconds of `count` synced writes of `bytes` to a plain file, from Node's thread pool as the daemon's are. */
export async function plainSyncs(folder, bytes = 65536, count = 200) {
  const file = openSync(join(folder, 'plain'), 'w')
  const data = Buffer.alloc(bytes, 120)
  const times = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    await new Promise((resolve, reject) =>
      write(file, data, (error) => (error ? reject(error) : fdatasync(file, (e) => (e ? reject(e) : resolve())))),
    )
    times.push(performance.now() - began)
  }
  closeSync(file)
  return times
}

export async function printMachine(folder) {
  const times = summary(await plainSyncs(folder))
  console.log(
    `${cpus().length} cores (${cpus()[0].model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  )
  console.log(`64 KiB write + fdatasync: p50 ${times.p50.toFixed(2)} ms, p99 ${times.p99.toFixed(2)} ms`)
  return times
}

export function temporaryFolder(name) {
  const folder = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), `millrace-bench-${name}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs the variants in turn, round after round, so that a drift of the machine meets all of them. */
export async function inTurn(rounds, variants) {
  const results = new Map(Object.keys(variants).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(variants)) results.get(name).push(await run())
  }
  return results
}

export const median = (values) =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )
