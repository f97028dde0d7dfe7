/** `millrace/testing`: a pipeline in memory and in virtual time. docs/testing.md shows it. */
export type {
  KeyAttributeOf,
  PlainItem,
  PushedInput,
  TableKey,
  TestCell,
  TestChange,
  TestInput,
  TestOptions,
  TestRecord,
} from './test-inputs.js'
export { TestPipeline, testPipeline } from './test-pipeline.js'
