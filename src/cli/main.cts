#!/usr/bin/env node
// Commits, file sinks and name look-ups share libuv's thread pool; four threads would let slow look-ups stall commits.
// The size counts only until the pool is first used, and Node's loader of ES modules uses it: so this file, and no other,
// is CommonJS.
process.env.UV_THREADPOOL_SIZE ??= '16'

import('./program.js').then(({ run }) => run(process.argv))
