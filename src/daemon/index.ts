export type { DaemonOptions, DaemonState } from './daemon.js'
export { Daemon } from './daemon.js'
export type { Rooms } from './rooms.js'
export { withStore } from './with-store.js'
