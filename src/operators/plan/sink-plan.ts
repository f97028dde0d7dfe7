import type { UserFunction } from './nodes.js'
import type { FileFormat } from './source-plan.js'

/** Where results go. Functions are the user's own. */
export type SinkPlan =
  | { readonly kind: 'table'; readonly name: string; readonly run: UserFunction }
  | { readonly kind: 'stream'; readonly name: string; readonly run: UserFunction }
  | FileSinkPlan
  | HttpSinkPlan
  | KafkaSinkPlan
  | OpenSearchSinkPlan
  | UserSinkPlan

export interface FileSinkPlan {
  readonly kind: 'file'
  readonly path: string
  readonly run: UserFunction | undefined
  readonly format: FileFormat
  /** Columns of a CSV file, in order; undefined for NDJSON. */
  readonly columns: readonly string[] | undefined
  /** When another file is begun; undefined for one file for ever. */
  readonly roll: { readonly bytesMax: number | undefined; readonly everyMs: number | undefined } | undefined
}

/** How results leave an outbox. */
export interface DeliveryPlan {
  /** Results in one delivery, and bytes of them (one result may be larger). */
  readonly batchMax: number
  readonly batchBytesMax: number
  /** How long, ms, a delivery that is not full waits for more results. */
  readonly lingerMs: number
  readonly timeoutMs: number
  /** Waits between two attempts: the first, and the longest. */
  readonly retryMs: number
  readonly retryMsMax: number
  /** Failures in a row after which nothing is tried for `breakerMs`. */
  readonly breakerFailures: number
  readonly breakerMs: number
}

/** One JSON array of the results, or a line of JSON for each. */
export type HttpBodyFormat = 'json' | 'ndjson'

export interface HttpSinkPlan {
  readonly kind: 'http'
  readonly url: string
  readonly run: UserFunction | undefined
  readonly method: 'POST' | 'PUT' | 'PATCH'
  readonly headers: Readonly<Record<string, string>>
  readonly format: HttpBodyFormat
  readonly delivery: DeliveryPlan
}

export interface KafkaSinkPlan {
  readonly kind: 'kafka'
  readonly topic: string
  /** Those of the daemon's configuration where there are none, and no cluster. */
  readonly brokers: readonly string[]
  readonly cluster?: string | undefined
  readonly compression: 'none' | 'gzip'
  readonly run: UserFunction
  readonly delivery: DeliveryPlan
}

/** Who the daemon says it is: what is secret it reads itself, from a file or from its environment, when it connects. */
export type SearchServerAuth =
  | { readonly username: string; readonly passwordFile: string }
  | { readonly username: string; readonly passwordVariable: string }
  | { readonly apiKeyFile: string }
  | { readonly apiKeyVariable: string }

/** Files in PEM on the daemon's machine. */
export interface SearchServerTls {
  /** Authorities in place of those that the machine trusts. */
  readonly caFile?: string
  /** Of the daemon itself, for a server that asks for it. */
  readonly certFile?: string
  readonly keyFile?: string
  /** The name in the server's certificate, where that is not the one in the URL. */
  readonly serverName?: string
}

/** An index of OpenSearch or Elasticsearch. All but its function is stored with the pipeline. */
export interface OpenSearchSinkPlan {
  readonly kind: 'openSearch'
  readonly index: string
  /** Nodes of one cluster: the next one is asked when one fails. */
  readonly urls: readonly string[]
  readonly auth: SearchServerAuth | undefined
  readonly tls: SearchServerTls | undefined
  /** The index template's body, put before the first write; undefined where none is. */
  readonly template: Readonly<Record<string, unknown>> | undefined
  /** How long, ms, the server remembers deleted documents, and how long it must. */
  readonly gcDeletesMs: number
  readonly gcDeletesMsMin: number
  readonly run: UserFunction
  readonly delivery: DeliveryPlan
}

/** A sink of the user's own. It is called with the results of a commit until it has taken them. */
export interface UserSinkPlan {
  readonly kind: 'user'
  readonly name: string
  readonly open: (() => unknown) | undefined
  readonly write: (records: never, context: never) => unknown
  readonly close: (() => unknown) | undefined
  readonly delivery: DeliveryPlan
}

/** What a sink writes to, for people and for the check of two sinks that share it. */
export function targetOf(sink: SinkPlan): string {
  switch (sink.kind) {
    case 'file':
      return sink.path
    case 'http':
      return sink.url
    case 'kafka':
      return sink.topic
    case 'openSearch':
      return sink.index
    default:
      return sink.name
  }
}
