export * from './families.js'
export * from './types.js'
