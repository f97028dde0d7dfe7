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
