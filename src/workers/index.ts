export { bundleModule } from './bundle.js'
export { describeModule } from './describe-module.js'
export { type ConvertedMessage, convertedBytesMax, type MessageToConvert } from './hosted-converter.js'
export { type SchemaCheck, schemaCheck } from './json-schema.js'
export { rowPackr } from './packing.js'
export {
  type ConverterHandle,
  type ConverterListener,
  type Loss,
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
  OpenConverterOptions,
  OpenTaskOptions,
  SinkRecords,
  TaskAddress,
  TaskParking,
  TaskWork,
  WireError,
} from './protocol.js'
export {
  decodeParked,
  decodeParkedKey,
  type ParkedRowKey,
  parkedInput,
  parkedKey,
  parkedValue,
} from './rows/parked-rows.js'
export { type PackedRows, rowsIn } from './rows/row-buffer.js'
export {
  cellOfState,
  namedCellsOf,
  nameOfCell,
  type RowStart,
  type StoredCellKey,
  stateKey,
  stateValue,
} from './rows/state-rows.js'
export type { PackedBarrier, RowsOfPipeline } from './rows/task-rows.js'
export { decodeTimer, type TimerKey, timerKey, timersFrom, timersOfGroups, timerValue } from './rows/timer-rows.js'
