export { describePlan, type PlanDescription, planOf, type StepDescription, stepsMax } from './check.js'
export {
  Flow,
  file,
  type Item,
  KeyedFlow,
  pipeline,
  type Sink,
  type Source,
  type StreamKey,
  stream,
  table,
} from './pipeline.js'
export { attributesOf, plainItem, plainKey, plainNumber, plainValue } from './plain.js'
export * from './types.js'
