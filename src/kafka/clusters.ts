import { type Clock, MillraceError } from '../runtime/index.js'
import { openKafkajsCluster } from './kafkajs-client.js'
import { openPlatformaticCluster } from './platformatic-client.js'
import { type ClusterSecurity, clusterSecurity, type SaslSettings, type TlsSettings } from './security.js'
import type { BridgeLogger, ClusterOptions, ClusterTarget, KafkaCluster, KafkaDriver } from './types.js'

/** `kafka.clusters.NAME` of the configuration. */
export interface ClusterSettings {
  readonly brokers: readonly string[]
  readonly driver: KafkaDriver
  readonly tls: TlsSettings
  readonly sasl?: SaslSettings | undefined
}

/** The libraries by their names; nothing else knows which one it is. */
export const openWith: Readonly<Record<KafkaDriver, (options: ClusterOptions) => KafkaCluster>> = {
  kafkajs: openKafkajsCluster,
  platformatic: openPlatformaticCluster,
}

/** The clusters that the configuration names, and those that are named by their brokers alone. */
export class Clusters {
  readonly #named: ReadonlyMap<string, { readonly settings: ClusterSettings; readonly security: ClusterSecurity }>

  constructor(settings: Readonly<Record<string, ClusterSettings>>, clock: Clock, logger: BridgeLogger) {
    this.#named = new Map(
      Object.entries(settings).map(([name, each]) => [
        name,
        { settings: each, security: clusterSecurity(name, each, clock) },
      ]),
    )
    for (const [name, { tls, sasl }] of Object.entries(settings)) warnOf(name, tls, sasl, logger)
  }

  get names(): readonly string[] {
    return [...this.#named.keys()]
  }

  /** Connects to nothing yet. Throws NOT_FOUND for a name that is not configured. */
  open({ cluster, brokers = [], driver, clientId, logger }: ClusterTarget): KafkaCluster {
    if (cluster === undefined) return openWith[driver ?? 'kafkajs']({ brokers, clientId, logger })
    const { settings, security } = this.#find(cluster)
    return openWith[driver ?? settings.driver]({ brokers: settings.brokers, clientId, logger, security })
  }

  /** As `open`; a cluster that is not configured, or not any more, is an error of each connection. */
  openLater(target: ClusterTarget): KafkaCluster {
    try {
      return this.open(target)
    } catch (error) {
      const fails = () => Promise.reject(error)
      return {
        connectProducer: fails,
        connectAdmin: fails,
        connectConsumer: fails,
        connectTransactionalProducer: fails,
        readCommitted: fails,
        readCommittedSoFar: fails,
      }
    }
  }

  #find(name: string) {
    const found = this.#named.get(name)
    if (found) return found
    const known = this.#named.size === 0 ? 'none is' : `there are ${this.names.join(', ')}`
    throw new MillraceError('NOT_FOUND', `No Kafka cluster ${name} is configured (${known}).`, {
      remedy: 'Add it to kafka.clusters of the configuration and start the daemon again, or name another one.',
    })
  }
}

function warnOf(cluster: string, tls: TlsSettings, sasl: SaslSettings | undefined, logger: BridgeLogger): void {
  if (sasl && !tls.enabled && (sasl.mechanism === 'plain' || sasl.mechanism === 'oauthbearer'))
    logger.warn(
      { cluster },
      `the Kafka cluster ${cluster} is sent its ${sasl.mechanism === 'plain' ? 'password' : 'token'} in clear text: set tls.enabled`,
    )
  if (tls.enabled && !tls.rejectUnauthorized)
    logger.warn(
      { cluster },
      `any certificate is taken for the Kafka cluster ${cluster}: tls.rejectUnauthorized is false`,
    )
}
