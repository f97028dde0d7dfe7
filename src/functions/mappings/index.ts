export { ConfiguredTriggers, type ConfiguredTriggersOptions } from './configured-triggers.js'
export type { MappingCounts } from './counters.js'
export type { MappingDescription } from './description.js'
export type { Mapping, MappingStatistics } from './mapping.js'
export { MappingFault } from './mapping-fault.js'
export { type MappingEvent, type MappingState, mappingLifecycle } from './mapping-lifecycle.js'
export { type ListRequest, Mappings, type MappingsOptions, mappingsMax } from './mappings.js'
export {
  asNativeError,
  changeOf,
  type NativeMapping,
  nativeMembers,
  nativeView,
  requestOf,
} from './native-mapping.js'
