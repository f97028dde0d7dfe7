export type { GroupsOptions } from './groups.js'
export { DurableGroups, joinPositions } from './groups.js'
export * from './types.js'
