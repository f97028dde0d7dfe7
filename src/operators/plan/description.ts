import type { NodeId, OnError, PipelinePlan, PlanNode } from './nodes.js'
import {
  type DeliveryPlan,
  type HttpSinkPlan,
  type KafkaSinkPlan,
  type OpenSearchSinkPlan,
  type SinkPlan,
  targetOf,
} from './sink-plan.js'
import { type SourcePlan, sourceLabel } from './source-plan.js'

/** State of a step as it is stored with a pipeline, to compare a later deploy with. */
export interface StateDescription {
  readonly version: number
  readonly canMigrate: boolean
  readonly ttlMs?: number
}

/** A sink without its functions. */
export interface SinkDescription {
  readonly kind: SinkPlan['kind']
  /** Table, stream, path, URL, topic or index. */
  readonly target: string
  readonly format?: 'ndjson' | 'csv'
  readonly columns?: readonly string[]
  readonly roll?: { readonly bytesMax?: number; readonly everyMs?: number }
  /** How results leave the outbox of an HTTP sink or a user's own. */
  readonly delivery?: DeliveryPlan
  readonly http?: Pick<HttpSinkPlan, 'method' | 'headers' | 'format'>
  /** Of a shadow: what goes into it is counted and dropped. */
  readonly isHeld?: true
  readonly kafka?: Pick<KafkaSinkPlan, 'brokers' | 'cluster' | 'compression'>
  readonly openSearch?: OpenSearchDescription
}

/** How an index of a search server is reached and made. It holds the names of secrets, and no secret. */
export type OpenSearchDescription = Pick<OpenSearchSinkPlan, 'urls' | 'gcDeletesMs' | 'gcDeletesMsMin'> & {
  readonly [Name in 'auth' | 'tls' | 'template']?: Exclude<OpenSearchSinkPlan[Name], undefined>
}

/** A node without its functions: what the main thread, the command and the console know of it. It is JSON. */
export type NodeDescription = { readonly inputs: readonly NodeId[] } & (
  | { readonly kind: 'source'; readonly source: SourcePlan }
  | { readonly kind: 'eventTime'; readonly outOfOrderMs: number; readonly idleMs: number }
  | { readonly kind: 'filter' | 'map' | 'flatMap' | 'peek' | 'merge' | 'keyBy' | 'keyByPartition' }
  | {
      readonly kind: 'asyncMap'
      readonly concurrency: number
      readonly isOrdered: boolean
      readonly timeoutMs: number
    }
  | { readonly kind: 'branch'; readonly outputs: number }
  | { readonly kind: 'output'; readonly output: string }
  | {
      readonly kind: 'keyed'
      readonly operator: string
      readonly name: string
      readonly sides: readonly string[]
      readonly state: StateDescription
      readonly bound?: string
      /** Which windows it has; absent also where an earlier version stored it. */
      readonly windows?: string
    }
  | { readonly kind: 'sink'; readonly name: string; readonly sink: SinkDescription }
  | { readonly kind: 'through'; readonly stream: string }
)

/** A pipeline without its functions. It is JSON, and is stored with the pipeline. */
export interface PlanDescription {
  readonly version: 2
  readonly name: string
  /** Absent: as the daemon is configured. */
  readonly onError?: OnError
  /** Inputs come before the nodes that take them. */
  readonly nodes: readonly NodeDescription[]
}

export function describePlan({ name, nodes, onError }: PipelinePlan): PlanDescription {
  return { version: 2, name, ...(onError ? { onError } : {}), nodes: nodes.map(described) }
}

function described(node: PlanNode): NodeDescription {
  const { inputs } = node
  switch (node.kind) {
    case 'source':
      return { kind: node.kind, inputs, source: node.source }
    case 'eventTime':
      return { kind: node.kind, inputs, outOfOrderMs: node.time.outOfOrderMs, idleMs: node.time.idleMs }
    case 'asyncMap': {
      const { concurrency, isOrdered, timeoutMs } = node
      return { kind: node.kind, inputs, concurrency, isOrdered, timeoutMs }
    }
    case 'branch':
      return { kind: node.kind, inputs, outputs: node.runs.length + 1 }
    case 'output':
      return { kind: node.kind, inputs, output: node.output }
    case 'keyed': {
      const { operator, sides, bound, windows, state } = node
      const { version, migrate, ttlMs } = state
      return {
        kind: node.kind,
        inputs,
        operator,
        name: node.name,
        sides,
        state: { version, canMigrate: migrate !== undefined, ...(ttlMs === undefined ? {} : { ttlMs }) },
        ...(bound === undefined ? {} : { bound }),
        ...(windows === undefined ? {} : { windows }),
      }
    }
    case 'sink':
      return { kind: node.kind, inputs, name: node.name, sink: describedSink(node.sink) }
    case 'through':
      return { kind: node.kind, inputs, stream: node.stream }
    default:
      return { kind: node.kind, inputs }
  }
}

function describedSink(sink: SinkPlan): SinkDescription {
  const { kind } = sink
  const target = targetOf(sink)
  if (kind === 'user') return { kind, target, delivery: sink.delivery }
  if (kind === 'http') {
    const { method, headers, format, delivery } = sink
    return { kind, target, delivery, http: { method, headers, format } }
  }
  if (kind === 'kafka') {
    const { brokers, cluster, compression, delivery } = sink
    return { kind, target, delivery, kafka: { brokers, compression, ...(cluster === undefined ? {} : { cluster }) } }
  }
  if (kind === 'openSearch') {
    const { urls, auth, tls, template, gcDeletesMs, gcDeletesMsMin, delivery } = sink
    const given = { ...(auth ? { auth } : {}), ...(tls ? { tls } : {}), ...(template ? { template } : {}) }
    return { kind, target, delivery, openSearch: { urls, gcDeletesMs, gcDeletesMsMin, ...given } }
  }
  if (kind !== 'file') return { kind, target }
  const { format, columns, roll } = sink
  return {
    kind,
    target,
    format,
    ...(columns ? { columns } : {}),
    ...(roll
      ? {
          roll: {
            ...(roll.bytesMax === undefined ? {} : { bytesMax: roll.bytesMax }),
            ...(roll.everyMs === undefined ? {} : { everyMs: roll.everyMs }),
          },
        }
      : {}),
  }
}

/** What a node is called: the name of its state, or what it does. Used in errors and pictures. */
export function nodeLabel(node: NodeDescription): string {
  switch (node.kind) {
    case 'source':
      return `${node.source.kind} ${sourceLabel(node.source)}`
    case 'keyed':
      return `${node.operator} ${node.name}`
    case 'sink':
      return `to ${node.sink.kind} ${node.sink.target}`
    case 'through':
      return `through ${node.stream}`
    case 'output':
      return `output ${node.output}`
    default:
      return node.kind
  }
}

/** A plan as it is shown: without what may be a secret, the values of headers and what a URL has behind its question mark. */
export function withoutSecrets(plan: PlanDescription): PlanDescription {
  return { ...plan, nodes: plan.nodes.map(nodeWithoutSecrets) }
}

function nodeWithoutSecrets(node: NodeDescription): NodeDescription {
  if (node.kind !== 'sink' || !node.sink.http) return node
  const { http } = node.sink
  const headers = Object.fromEntries(Object.keys(http.headers).map((name) => [name, '***']))
  const target = node.sink.target.replace(/\?.*$/, '?***')
  return { ...node, sink: { ...node.sink, target, http: { ...http, headers } } }
}
