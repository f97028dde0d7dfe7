export { bundleModule } from './bundle.js'
export { describeModule } from './describe-module.js'
export {
  type Place,
  type PoolOptions,
  type SinkHandle,
  type SinkListener,
  type TaskHandle,
  type TaskListener,
  WorkerPool,
} from './pool.js'
export type {
  ChannelEnd,
  ChannelStart,
  Exit,
  OpenTaskOptions,
  SinkRecords,
  TaskAddress,
  TaskWork,
  WireError,
} from './protocol.js'
