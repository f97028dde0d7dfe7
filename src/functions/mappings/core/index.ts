export { ShardCore } from './shard-core.js'
export { stateBytesMax } from './tumbling-window.js'
export * from './types.js'
