import { setTimeout as sleep } from 'node:timers/promises'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import type { Daemon } from './daemon.js'
import { needsDemoPackages } from './demo-error.js'

/** A request that fails this often in a row is a failure of the demo. */
export const attemptsMax = 20
const backOffMsMin = 10
const backOffMsMax = 500

type DynamoDb = typeof import('@aws-sdk/client-dynamodb')
type DynamoDbStreams = typeof import('@aws-sdk/client-dynamodb-streams')

interface Clients {
  readonly url: string
  readonly tables: DynamoDBClient
  readonly streams: DynamoDBStreamsClient
}

/**
 * The AWS SDK, pointed at the demo's daemon wherever that is at the moment. A request whose outcome is not known is sent
 * again: every write of the demo is one that, applied twice, changes nothing the second time.
 */
export class Aws {
  readonly dynamodb: DynamoDb
  readonly dynamodbStreams: DynamoDbStreams
  readonly #daemon: Daemon
  #clients: Clients | undefined

  private constructor(daemon: Daemon, dynamodb: DynamoDb, dynamodbStreams: DynamoDbStreams) {
    this.#daemon = daemon
    this.dynamodb = dynamodb
    this.dynamodbStreams = dynamodbStreams
  }

  static async load(daemon: Daemon): Promise<Aws> {
    // Its notices on the version of Node are not what somebody wants to read here.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
    const dynamodb = await needsDemoPackages(() => import('@aws-sdk/client-dynamodb'))
    const dynamodbStreams = await needsDemoPackages(() => import('@aws-sdk/client-dynamodb-streams'))
    return new Aws(daemon, dynamodb, dynamodbStreams)
  }

  /** Sends a request until it has an answer. Errors that the same request would meet again are thrown. */
  async request<Answer>(send: (clients: Clients) => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      await this.#daemon.ready()
      try {
        return await send(this.#connected())
      } catch (error) {
        if (attempt >= attemptsMax || !isTransient(error)) throw error
      }
      await sleep(backOffMs(attempt))
    }
  }

  #connected(): Clients {
    const { url } = this.#daemon
    if (this.#clients?.url === url) return this.#clients
    this.close()
    // Nothing but an endpoint. Region and credentials are what every SDK wants to have; the daemon takes any.
    const options = {
      endpoint: url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'demo', secretAccessKey: 'demo' },
      // Attempts are counted here, since a later one may have to go to another port.
      maxAttempts: 1,
      // Saves a tenth of what a request costs here: the middleware of a command is the same each time.
      cacheMiddleware: true,
    }
    this.#clients = {
      url,
      tables: new this.dynamodb.DynamoDBClient(options),
      streams: new this.dynamodbStreams.DynamoDBStreamsClient(options),
    }
    return this.#clients
  }

  close(): void {
    this.#clients?.tables.destroy()
    this.#clients?.streams.destroy()
    this.#clients = undefined
  }
}

/** Doubling, with a random half, so that what failed together does not come back together. */
export function backOffMs(attempt: number): number {
  const ms = Math.min(backOffMsMax, backOffMsMin * 2 ** attempt)
  return ms / 2 + (Math.random() * ms) / 2
}

const transientNames = new Set([
  'InternalServerError',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ServiceUnavailable',
  'ThrottlingException',
])

/** No answer at all (the daemon is away), or one that says to come again. */
function isTransient(error: unknown): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } }
  if (name !== undefined && transientNames.has(name)) return true
  const status = $metadata?.httpStatusCode
  if (status !== undefined) return status >= 500
  return isConnectionError(error)
}

function isConnectionError(error: unknown): boolean {
  const { code, name } = error as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? /^E[A-Z]+$/.test(code) : name === 'TimeoutError' || name === 'AbortError'
}
