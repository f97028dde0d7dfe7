/** `millrace/testing`: a pipeline in memory and in virtual time. docs/testing.md shows it. */
export type { KeyAttributeOf, TableKey, TestChange } from './source-records.js'
export type { TestCell } from './state-lookup.js'
export {
  type PushedInput,
  type TestInput,
  type TestOptions,
  TestPipeline,
  type TestRecord,
  testPipeline,
} from './test-pipeline.js'
