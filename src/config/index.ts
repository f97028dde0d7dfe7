export { configJsonSchema, type Leaf, leaves, nearest } from './leaves.js'
export {
  defaultConfigFile,
  isLoopback,
  type LoadedConfig,
  type LoadOptions,
  loadConfig,
  type Source,
  valueAt,
} from './load.js'
export { type Config, type ConfigInput, configSchema } from './schema.js'
