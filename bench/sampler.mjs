// What sampling the keys of a hot shard costs a record, in CPU: `node bench/sampler.mjs` after a build.
import { KeySampler } from '../dist/balance/key-sampler.js'
import { chunkHeaderBytes } from '../dist/log/index.js'
import { KeyLoad } from './split-load.mjs'

const rounds = 10
const chunkRecords = 1000
for (const name of ['uniform', 'zipf-1.2']) {
  const load = new KeyLoad(name, 100_000)
  const chunks = Array.from({ length: 200 }, (_, i) =>
    Buffer.concat([Buffer.alloc(chunkHeaderBytes), load.batch(i, chunkRecords, 100)]),
  )
  for (const [shard, recordsPerSecond] of [
    ['fast', 100_000],
    ['slow', 10],
  ]) {
    const sampler = new KeySampler(Math.random, 0, 0)
    sampler.tick(1000, recordsPerSecond, 0)
    for (const chunk of chunks) sampler.take(chunk)
    const before = process.cpuUsage().user
    for (let round = 0; round < rounds; round++) for (const chunk of chunks) sampler.take(chunk)
    const nanoseconds = ((process.cpuUsage().user - before) * 1000) / (rounds * chunks.length * chunkRecords)
    console.log(`${name}, a ${shard} shard: ${nanoseconds.toFixed(1)} ns a record`)
  }
}
