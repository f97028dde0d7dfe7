export { type NativeModule, nativeModule } from './native.js'
export { openStorage } from './rocksdb-storage.js'
export * from './types.js'
