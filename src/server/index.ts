export { daemonMetrics } from './daemon-metrics.js'
export { guardHeader } from './safety.js'
export { Server, type ServerOptions } from './server.js'
