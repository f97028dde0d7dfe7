export { checkPlan, isKeyed, nodesMax, planOf, stepName } from './check.js'
export {
  describePlan,
  type NodeDescription,
  nodeLabel,
  type OpenSearchDescription,
  type PlanDescription,
  type SinkDescription,
  type StateDescription,
  withoutSecrets,
} from './description.js'
export {
  checkFileForms,
  checkRedeploy,
  differenceText,
  diffPlans,
  type PlanChange,
  type StateFate,
  sameSteps,
} from './difference.js'
export { type Duration, durationMs, durationText } from './duration.js'
export type { Sink, Source } from './ends.js'
export { type FileSinkOptions, file } from './files.js'
export { type FileRecord, type FilesOptions, files } from './files-source.js'
export { Flow, type PipelineStart, pipeline, type ThroughRecord } from './flow.js'
export { type KafkaSinkOptions, type KafkaSinkRecord, kafka } from './kafka-sink.js'
export {
  type DeduplicateOptions,
  type DistinctOptions,
  KeyedFlow,
  type NoSides,
  type TopOptions,
} from './keyed-flow.js'
export type { RowKey } from './keys.js'
export { checkMembers, type Members } from './members.js'
export type {
  EventTimePlan,
  KeyedNode,
  NodeId,
  OnError,
  PipelinePlan,
  PlanNode,
  StatePlan,
  UserFunction,
} from './nodes.js'
export {
  type OpenSearchIndexTemplate,
  type OpenSearchSinkOptions,
  type OpenSearchSinkRecord,
  openSearch,
} from './open-search-sink.js'
export {
  type DeliveredRecord,
  type DeliveryOptions,
  type HttpSinkOptions,
  http,
  sink,
  type UserSink,
} from './outside-sinks.js'
export type {
  DeliveryPlan,
  FileSinkPlan,
  HttpBodyFormat,
  HttpSinkPlan,
  KafkaSinkPlan,
  OpenSearchSinkPlan,
  SearchServerAuth,
  SearchServerTls,
  SinkPlan,
  UserSinkPlan,
} from './sink-plan.js'
export { targetOf } from './sink-plan.js'
export { type FileFormat, type FilesPlan, type SourcePlan, sourceLabel } from './source-plan.js'
export type { CombinedOptions, StateOptions } from './state-plan.js'
export type { AsyncMapOptions, EventTimeOptions } from './steps.js'
export { type Item, type StreamKey, stream, type TableSourceOptions, table } from './tables.js'
export { guaranteeOf, nodeDetail, placedLabel, topologyText } from './topology.js'
