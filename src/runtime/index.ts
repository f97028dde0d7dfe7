export * from './clock.js'
export * from './errors.js'
export * from './hash.js'
export * from './version.js'
