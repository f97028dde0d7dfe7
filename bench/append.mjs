// Appends of 200-byte records, synced. In process: the whole commit path against the bare npm binding with the same bytes
// and the same sync, at commits of 64 KiB, 256 KiB and 1 MiB, to one shard and over 64; with the group free to grow; and
// against the C++ ceiling of native-bench in the same run when it is built. Then over HTTP.
//   npm run bench -- append [--seconds 3] [--rounds 3] [--no-http] [--no-native]
//   make -C native-bench        (needs a C++ compiler and RocksDB's headers) lets it run the ceiling too
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BenchDaemon } from './daemon.mjs'
import { inTurn, median, printMachine, summary, temporaryFolder } from './measure.mjs'
import { batchOf, recordBytes } from './records.mjs'
import { openLogAt } from './store.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    'no-http': { type: 'boolean' },
    'no-native': { type: 'boolean' },
  },
})
const seconds = Number(flags.seconds)
const shardsMany = 64
const folder = temporaryFolder('append')
await printMachine(folder)

let number = 0

/** `depth` at once, again and again. */
async function measured(write, depth) {
  const times = []
  const began = performance.now()
  const end = began + seconds * 1000
  const worker = async () => {
    while (performance.now() < end) {
      const start = performance.now()
      await write()
      times.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: depth }, worker))
  return { perSecond: (times.length * 1000) / (performance.now() - began), ...summary(times) }
}

/** The bare binding: one write in flight, the same values, synced. */
async function bare(commitBytes, shards) {
  const rocksdb = createRequire(import.meta.url)('rocksdb')
  const db = rocksdb(join(folder, `bare-${number++}`))
  const promised = (run) => new Promise((resolve, reject) => run((error) => (error ? reject(error) : resolve())))
  await promised((done) => db.open({ writeBufferSize: 64 << 20, cacheSize: 64 << 20 }, done))
  const values = Array.from({ length: shards }, () => batchOf(Math.round(commitBytes / recordBytes / shards)))
  let sequence = 0
  let written = 0
  const bytes = values.reduce((sum, value) => sum + value.length, 0)
  const result = await measured(() => {
    const batch = db.batch()
    values.forEach((value, shard) => {
      // The keys of the log: family, segment, shard, sequence number.
      const key = Buffer.alloc(17, 5)
      key.writeUInt32BE(Math.floor(written / (64 << 20)), 1)
      key.writeUInt32BE(shard, 5)
      key.writeUInt32BE(sequence++, 13)
      batch.put(key, value)
      written += value.length
    })
    return promised((done) => batch.write({ sync: true }, done))
  }, 1)
  await promised((done) => db.close(done))
  return { ...result, bytes }
}

/** The whole path: effect set, sequence numbers, chunks, checksums, ledger, mark, tail cache. */
async function whole(commitBytes, shards, depth) {
  const { commit, log, close } = await openLogAt(join(folder, `whole-${number++}`))
  const stream = await log.createStream({ name: 'bench', kind: 'plain', shards, images: { old: false, new: false } })
  const count = Math.round(commitBytes / recordBytes / shards)
  const batches = Array.from({ length: shards }, (_, shard) => {
    const hi = Math.floor((shard * 2 ** 32) / shards) + 1
    return batchOf(count, shards === 1 ? undefined : () => ({ hi, lo: 0 }))
  })
  const records = batches.map((batch) => ({ stream: stream.id, batch }))
  const result = await measured(() => commit.submit({ records }), depth)
  await close()
  return { ...result, bytes: batches.reduce((sum, batch) => sum + batch.length, 0) }
}

const megabytes = ({ perSecond, bytes }) => (perSecond * bytes) / 1e6
const rate = (results, name) => median(results.get(name).map(megabytes))
const rounded = (value, digits = 0) => Number(value.toFixed(digits))

const binary = new URL('../native-bench/build/native-bench', import.meta.url).pathname
const hasNative = !flags['no-native'] && existsSync(binary)
/** One run of the ceiling: MB/s by what it measured and the size of a commit. */
function ceiling() {
  const run = spawnSync(binary, ['--seconds', String(seconds), '--dir', folder, '--json'], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(run.stderr)
  return run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}
const ceilings = hasNative ? Array.from({ length: Number(flags.rounds) }, ceiling) : []
const native = (what, kib) =>
  median(
    ceilings.map(
      (lines) => lines.find((line) => line.what === what && line.commitKiB === kib)?.megabytesPerSecond ?? 0,
    ),
  )

const rows = []
for (const kib of [64, 256, 1024]) {
  for (const shards of [1, shardsMany]) {
    const results = await inTurn(Number(flags.rounds), {
      bare: () => bare(kib * 1024, shards),
      whole: () => whole(kib * 1024, shards, 1),
      gathering: () => whole(kib * 1024, shards, 2),
    })
    const times = results.get('whole')
    rows.push({
      commit: `${kib} KiB`,
      shards,
      'bare binding MB/s': rounded(rate(results, 'bare')),
      'one at a time MB/s': rounded(rate(results, 'whole')),
      ratio: rounded(rate(results, 'whole') / rate(results, 'bare'), 2),
      'two in flight MB/s': rounded(rate(results, 'gathering')),
      'ratio of it': rounded(rate(results, 'gathering') / rate(results, 'bare'), 2),
      'k records/s': rounded((rate(results, 'gathering') * 1e3) / recordBytes),
      'p50 ms': rounded(median(times.map(({ p50 }) => p50)), 2),
      'p99 ms': rounded(median(times.map(({ p99 }) => p99)), 2),
      ...(hasNative
        ? { 'C++ MB/s': rounded(native(shards === 1 ? 'RocksDB, 1 shard' : `RocksDB, ${shards} shards`, kib)) }
        : {}),
    })
  }
}
console.log('\nin process, synced; a commit holds one append of the size')
console.table(rows)

// Many appends of 64 KiB wait for the disk at once, so the commits grow with the time of a sync.
const growing = await inTurn(Number(flags.rounds), {
  'one shard': () => whole(65536, 1, 64),
  '64 shards': () => whole(65536 * shardsMany, shardsMany, 8),
})
const best = hasNative ? Math.max(...[64, 256, 1024].map((kib) => native('RocksDB, 1 shard', kib))) : undefined
console.log('\nin process, synced, the commits free to grow (64 appends of 64 KiB in flight)')
console.table(
  [...growing.keys()].map((name) => ({
    what: name,
    'MB/s': rounded(rate(growing, name)),
    'k records/s': rounded((rate(growing, name) * 1e3) / recordBytes),
    ...(best ? { "C++'s best MB/s": rounded(best), ratio: rounded(rate(growing, name) / best, 2) } : {}),
  })),
)

if (!flags['no-http']) {
  const daemon = await BenchDaemon.start(join(folder, 'daemon'), { MILLRACE_SPLIT_ENABLED: 'false' })
  await daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })
  const table = []
  for (const [count, connections] of [
    [1, 64],
    [100, 16],
    [1000, 4],
    [1000, 8],
    [1000, 16],
  ]) {
    const batch = batchOf(count)
    const began = performance.now()
    const times = await daemon.append('bench', batch, connections, () => performance.now() - began > seconds * 1000)
    const elapsed = (performance.now() - began) / 1000
    const { p50, p99 } = summary(times)
    table.push({
      'records a request': count,
      connections,
      'requests/s': Math.round(times.length / elapsed),
      'records/s': Math.round((times.length * count) / elapsed),
      'p50 ms': rounded(p50, 2),
      'p99 ms': rounded(p99, 2),
    })
  }
  console.log('\nover loopback HTTP, client and daemon on the same cores, synced')
  console.table(table)
  await daemon.stop()
}
process.exit(0)
