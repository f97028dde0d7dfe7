export * from './keyed-operator.js'
export { groupsOfTask, keyGroups, taskOfGroup } from './keys.js'
export * from './stage-task.js'
export * from './stages.js'
