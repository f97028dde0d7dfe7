export { bundleModule } from './bundle.js'
export { describeModule } from './describe-module.js'
export {
  type OpenTaskOptions,
  type Place,
  type PoolOptions,
  type TaskHandle,
  type TaskListener,
  WorkerPool,
} from './pool.js'
export type { WireError } from './protocol.js'
