export type { GroupsOptions } from './groups.js'
export { DurableGroups, joinPositions } from './groups.js'
export { lagRecords, lagSeconds } from './lag.js'
export * from './types.js'
