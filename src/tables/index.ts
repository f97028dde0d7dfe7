export { AwsError } from './requests/aws-error.js'
export { type DecodedChange, decodeChange, encodeChange } from './streams/change.js'
export { type TableInfo, Tables, type TablesOptions } from './tables.js'
export * from './values/index.js'
