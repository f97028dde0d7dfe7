import { createRequire } from 'node:module'
import type { Kafka } from 'kafkajs'
import { MillraceError } from '../runtime/index.js'

/*
 * kafkajs reads in groups alone: it chooses another offset when one is out of range, hides what transactions leave behind, and checks no
 * checksum. What it is made of has none of these faults: a cluster that knows brokers, and brokers that take requests. They are no
 * part of its interface, so its version is fixed in package.json, and what is used of them is described here.
 */

interface Request {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
}

interface Decoder<T> {
  decode(payload: Buffer): Promise<T>
  parse(decoded: T): Promise<T>
}

export interface InternalBroker {
  /** Versions of requests that the broker takes, by API key. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>>
  readonly connectionPool: {
    send<T>(request: {
      readonly request: Request
      readonly response: Decoder<T>
      readonly requestTimeout: number
      readonly logResponseError: boolean
    }): Promise<T>
  }
  listOffsets(request: {
    readonly isolationLevel: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
    }[]
  }): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
    }[]
  }>
  offsetCommit(request: {
    readonly groupId: string
    readonly groupGenerationId: number
    readonly memberId: string
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly {
        readonly partition: number
        readonly offset: string
        readonly metadata: string
      }[]
    }[]
  }): Promise<unknown>
  offsetFetch(request: {
    readonly groupId: string
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number }[]
    }[]
  }): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly {
        readonly partition: number
        readonly offset: string
        readonly metadata: string | null
      }[]
    }[]
  }>
}

export interface InternalCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  findBroker(options: { readonly nodeId: string }): Promise<InternalBroker>
  findGroupCoordinator(options: { readonly groupId: string }): Promise<InternalBroker>
  readonly brokerPool: {
    readonly metadata: {
      readonly clusterId: string | null
      readonly topicMetadata: readonly {
        readonly topic: string
        readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number }[]
      }[]
    } | null
  }
}

type CreateCluster = (options: {
  readonly allowAutoTopicCreation: boolean
  readonly isolationLevel: number
  readonly metadataMaxAge: number
}) => InternalCluster

interface FetchRequest {
  readonly replicaId: number
  readonly isolationLevel: number
  readonly maxWaitTime: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly fetchOffset: string
      readonly maxBytes: number
    }[]
  }[]
}

const require = createRequire(import.meta.url)

/** Isolation level of readers of what is committed. */
export const readCommitted = 1

/** The part of a client that knows brokers. */
export function clusterOf(kafka: Kafka): InternalCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  const create = symbol && (kafka as unknown as Record<symbol, CreateCluster>)[symbol]
  if (!create)
    throw new MillraceError(
      'INTERNAL',
      'The library kafkajs is not the one that this version of Millrace was made for.',
      {
        remedy: 'Install the version of kafkajs that package.json names.',
      },
    )
  return create({ allowAutoTopicCreation: false, isolationLevel: readCommitted, metadataMaxAge: 300_000 })
}

/** Version of the fetch request that is written and read here: the newest that the library writes, of Kafka 2.3. */
export const fetchVersion = 11
export const fetchKey = 1

export function fetchRequest(request: FetchRequest): Request {
  const write = require('kafkajs/src/protocol/requests/fetch/v11/request') as (request: FetchRequest) => Request
  return write(request)
}

/** The library's error for the number that a broker answered with. */
export function brokerError(code: number): Error {
  const { createErrorFromCode } = require('kafkajs/src/protocol/error') as {
    createErrorFromCode: (code: number) => Error
  }
  return createErrorFromCode(code)
}
