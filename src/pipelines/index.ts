export type { Pipeline, PipelineState, PipelineView } from './pipeline.js'
export { type DeployRequest, Pipelines, type PipelinesOptions } from './pipelines.js'
export type { Failure } from './rows.js'
