/** What the paths of `/v1` answer, as far as the console looks; docs/reference/http.md has all of it. */

export interface Status {
  readonly version: string
  readonly state: 'starting' | 'ready' | 'poisoned' | 'reopening' | 'failed' | 'stopping'
  readonly reason?: string
  readonly dataDirectory: string
  readonly durability: 'synced' | 'relaxed'
  readonly storageFull: boolean
  readonly storeId?: string
  readonly epoch?: number
  readonly nextSequence?: number
  readonly tables?: number
  readonly streams?: number
  readonly groups?: number
  readonly pipelines?: number
  readonly bridges?: number
}

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricsAnswer {
  readonly at: number
  readonly uptimeMs: number
  readonly samples: readonly Sample[]
}

export interface Stream {
  readonly name: string
  readonly kind: 'plain' | 'table'
  readonly createdAt: number
  readonly closedAt?: number
  readonly shards: number
  readonly open: number
}

export interface Shard {
  readonly id: number
  /** 16 hex digits, inclusive. */
  readonly low: string
  readonly high: string
  readonly parents: readonly number[]
  readonly children: readonly number[]
  readonly state: 'open' | 'sealed'
  readonly firstSequence: number
  readonly lastSequence?: number
  readonly newestSequence: number
  readonly createdAt: number
  readonly sealedAt?: number
}

export interface Group {
  readonly name: string
  readonly stream?: string
  /** `trimmed`: records that it had not read are gone, and it must seek. */
  readonly state?: 'active' | 'trimmed'
  readonly lag: number
  readonly positions: readonly Position[]
  readonly members?: readonly Member[]
}

export interface Position {
  readonly shard: number
  readonly next: number
  readonly ended: boolean
}

export interface Member {
  readonly member: string
  readonly shards?: readonly number[]
}

export interface Table {
  readonly name: string
  readonly status: string
  readonly keys: string
  readonly billing: string
  readonly stream?: string
  readonly indexes: readonly TableIndex[]
  /** The attribute that holds an item's time to live. */
  readonly ttl?: string
  readonly counted?: { readonly items: number; readonly bytes: number; readonly at: number }
  readonly arn: string
}

export interface TableIndex {
  readonly name: string
  readonly kind: 'global' | 'local'
  readonly keys: string
  readonly projection: string
  readonly state: 'active' | 'filling'
}

export interface Pipeline {
  readonly name: string
  readonly sources: readonly string[]
  readonly groups: readonly string[]
  readonly state: string
  readonly attempts: number
  readonly createdAt: number
  readonly revision: number
  readonly bounded?: { readonly passed: number; readonly all: number }
  readonly recordsPerSecond: number
  readonly barrier: { readonly inFlight: boolean; readonly committed: number; readonly secondsLast: number }
  readonly tasks: number
  /** Milliseconds since 1970. */
  readonly watermark?: number
  readonly error?: PipelineError
  readonly outboxes?: readonly Outbox[]
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
}

export interface PipelineError {
  readonly code: string
  readonly message: string
  readonly stack?: string
  /** Counted from 0; people count from 1. */
  readonly step?: number
  readonly sequence?: number
  readonly shard?: number
  readonly at: number
}

export interface Outbox {
  readonly sink: string
  readonly records: number
  readonly bytes: number
  readonly isFull: boolean
  readonly breaker: 'closed' | 'open' | 'halfOpen'
  readonly delivered: number
  readonly attempts: number
  readonly failures: number
  readonly deadLetters: number
  readonly error?: string
}

/** One pipeline, with what only its own path answers. */
export interface InspectedPipeline extends Pipeline {
  /** The daemon's clock, milliseconds since 1970. */
  readonly at: number
  readonly inputs: readonly PipelineInput[]
  readonly stages: readonly PipelineStage[]
  readonly graph: readonly GraphNode[]
  readonly heldBy?: { readonly source: string; readonly shard: number; readonly hasTime: boolean }
  readonly stateBytes: number
  readonly timers: { readonly count: number; readonly isMore: boolean }
}

export interface PipelineInput {
  readonly source: string
  readonly node: number
  readonly group: string
  readonly lagRecords: number
  readonly lagSeconds: number
  readonly shards?: readonly ShardTime[]
  readonly moreShards?: number
}

export interface ShardTime {
  readonly shard: number
  readonly watermark?: number
  readonly isIdle: boolean
}

export interface PipelineStage {
  readonly stage: number
  readonly kind: 'source' | 'keyed'
  readonly label: string
  readonly watermark?: number
  readonly isIdle?: boolean
}

export interface GraphNode {
  readonly node: number
  readonly kind: string
  readonly label: string
  readonly detail: string
  readonly inputs: readonly number[]
  readonly stages: readonly number[]
  readonly guarantee?: string
  readonly rowsIn: number
  readonly rowsPerSecond: number
  readonly failures: number
  readonly parked: number
}

export interface ParkedRecord {
  readonly pipeline: string
  readonly step: string
  readonly key: string
  readonly number: number
  readonly kind: 'row' | 'timer'
  readonly value?: unknown
  readonly sequence?: number
  readonly time: number
  readonly parkedAt: number
  /** 0: it only waits behind another. */
  readonly attempts: number
  readonly error?: { readonly code: string; readonly message: string; readonly stack?: string }
  readonly behind: number
}

export interface BridgeError {
  readonly code: string
  readonly message: string
  readonly remedy: string
}

export interface Bridge {
  readonly name: string
  readonly direction: 'in' | 'out'
  /** The stream that is mirrored, or the topic that is read. */
  readonly source: string
  readonly topic: string
  /** Of a bridge in: `stream:NAME` or `table:NAME`. */
  readonly into?: string
  /** A group of the daemon; of a bridge in, one of Kafka. */
  readonly group: string
  readonly partitions?: number
  readonly createdAt: number
  readonly options: {
    readonly brokers?: readonly string[]
    readonly cluster?: string
    readonly guarantee?: string
    readonly format?: string
    readonly images?: string
    /** Of a bridge in: what becomes of messages that cannot be stored. */
    readonly unreadable?: string
    /** Of a bridge out: what becomes of records that cannot be sent. */
    readonly refused?: string
    readonly schema?: { readonly $id: string }
  }
  readonly converter?: { readonly hash: string }
  readonly snapshot?: 'running' | 'done'
  readonly state:
    | { readonly kind: 'starting' | 'running' | 'paused' | 'stopped'; readonly since: number }
    | { readonly kind: 'waiting' | 'failed'; readonly since: number; readonly error: BridgeError }
  /** Counts are since the start of the daemon. */
  readonly statistics: {
    readonly records: number
    readonly bytes: number
    readonly lagRecords: number
    readonly lagSeconds: number
    readonly errors: number
    /** Of a bridge in. */
    readonly deadLetters: number
  }
}

export interface ParkedAnswer {
  readonly parked: readonly ParkedRecord[]
  readonly more: number
}

export interface SearchIndex {
  readonly name: string
  readonly table: string
  readonly fields: readonly string[]
  readonly state: 'waiting' | 'building' | 'ready' | 'full' | 'failed' | 'stopped'
  readonly reason?: string
  readonly documents: number
  readonly bytes: number
  readonly sequence: number
  readonly lagRecords: number
}

export interface SearchAnswer {
  readonly total: number
  readonly hits: readonly SearchHit[]
}

export interface SearchHit {
  /** DynamoDB JSON. */
  readonly key: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly score: number
  readonly fields: Readonly<Record<string, unknown>>
  readonly terms: readonly string[]
}
