export type { RetentionDefaults } from './policy.js'
export { parsePolicy } from './policy.js'
export type { RetentionObserver, RetentionOptions } from './retention.js'
export { Retention } from './retention.js'
