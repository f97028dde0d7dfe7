export type { Pipeline, PipelineView } from './pipeline.js'
export type { PipelineState } from './pipeline-lifecycle.js'
export { type DeployRequest, Pipelines, type PipelinesOptions } from './pipelines.js'
export type { Failure } from './rows.js'
