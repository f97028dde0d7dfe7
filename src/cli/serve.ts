import type { Command } from 'commander'
import { createLogger, Metrics, version } from '../runtime/index.js'
import { globals, loadFor } from './client.js'

export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('run the daemon; SIGTERM or SIGINT stops it gracefully, a second one at once')
    .action(async (_options: object, command: Command) => {
      const { config } = loadFor(globals(command))
      const asked = whenAsked()
      // The daemon and all its libraries are loaded for this command alone: the others start in half the time.
      const { Daemon } = await import('../daemon/index.js')
      const { daemonMetrics, Server } = await import('../server/index.js')
      const logger = createLogger(config.logLevel)
      const metrics = new Metrics(version)
      const observed = daemonMetrics(metrics)
      const daemon = await Daemon.open({ config, logger, onRooms: (rooms) => observed.onRooms(rooms) })
      observed.watch(daemon)
      const server = new Server({ daemon, metrics, logger })
      let address: { host: string; port: number }
      try {
        address = await server.listen()
      } catch (error) {
        await daemon.close()
        throw error
      }
      const host = address.host.includes(':') ? `[${address.host}]` : address.host
      if (config.listen.insecure)
        logger.warn('nobody is authenticated, and the daemon may be reached from outside (listen.insecure)')
      logger.info({ version, dataDir: daemon.dataDirectory, host, port: address.port }, 'ready')
      process.stdout.write(`millrace ready http://${host}:${address.port}\n`)
      const signal = await asked
      logger.info({ signal }, 'stopping')
      await server.close()
      await daemon.close()
      logger.info('stopped')
      process.exit(0)
    })
}

/** Resolves at the first SIGTERM or SIGINT, also when it comes during the start; the second ends the process at once. */
function whenAsked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (isAsked) process.exit(1)
        isAsked = true
        resolve(signal)
      })
    }
  })
}
