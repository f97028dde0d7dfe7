export * from './producers.js'
