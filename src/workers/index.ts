export { bundleModule } from './bundle.js'
export { describeModule } from './describe-module.js'
export {
  type Place,
  type PoolOptions,
  type TaskHandle,
  type TaskListener,
  WorkerPool,
} from './pool.js'
export type {
  ChannelEnd,
  ChannelStart,
  Exit,
  OpenTaskOptions,
  TaskAddress,
  TaskWork,
  WireError,
} from './protocol.js'
