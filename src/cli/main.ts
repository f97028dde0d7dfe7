#!/usr/bin/env node
// Commits, file sinks and name look-ups share libuv's thread pool; four threads would let slow look-ups stall commits.
// It must be set before anything uses the pool, hence before anything else is loaded.
process.env.UV_THREADPOOL_SIZE ??= '16'

const { run } = await import('./program.js')
await run(process.argv)
