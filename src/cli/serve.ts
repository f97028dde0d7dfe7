import type { Command } from 'commander'
import { isAuthConfigured } from '../config/index.js'
import { createLogger, keepHeapHeadroom, Metrics, MillraceError, systemClock, version } from '../runtime/index.js'
import { globals, loadFor } from './client.js'
import { ephemeralFolder } from './ephemeral.js'

export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('run the daemon; SIGTERM or SIGINT stops it gracefully, a second one at once')
    .option('--ephemeral', 'on a fresh temporary data directory, which is gone at exit')
    .action(async ({ ephemeral = false }: { ephemeral?: boolean }, command: Command) => {
      const options = globals(command)
      if (ephemeral && options.data !== undefined) {
        throw new MillraceError('USAGE', '--ephemeral makes a data directory of its own, and --data names one.', {
          remedy: 'Give one of the two.',
        })
      }
      const asked = whenAsked()
      const { config } = loadFor(ephemeral ? { ...options, data: ephemeralFolder() } : options)
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
      // It looks for as long as the process lives: what could not be opened has ended by now.
      keepHeapHeadroom(systemClock)
      const host = address.host.includes(':') ? `[${address.host}]` : address.host
      if (config.listen.insecure && !isAuthConfigured(config.auth))
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

/**
 * Resolves at the first SIGTERM, SIGINT or SIGHUP, also when it comes during the start; another SIGTERM or SIGINT ends the
 * process at once. A SIGHUP does not: a terminal that closes, or a service manager, sends one along with the other.
 */
function whenAsked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (isAsked && signal === 'SIGHUP') return
        if (isAsked) process.exit(1)
        isAsked = true
        resolve(signal)
      })
    }
  })
}
