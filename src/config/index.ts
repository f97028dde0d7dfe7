export { type AccessKey, type Credentials, credentialsOf, isAuthConfigured } from './credentials.js'
export {
  type ConfiguredFunction,
  type FunctionSettings,
  type FunctionSettingsInput,
  functionNameForm,
  functionSettingsSchema,
} from './functions.js'
export { configJsonSchema, type Leaf, leaves, type Section, sections, shownValue } from './leaves.js'
export { defaultConfigFile, isLoopback, type LoadedConfig, type LoadOptions, loadConfig } from './load.js'
export { type Config, type ConfigInput, configSchema, type SplitPolicy, splitSchema } from './schema.js'
export { type Source, valueAt } from './settings.js'
export type { ConfiguredTrigger } from './triggers.js'
