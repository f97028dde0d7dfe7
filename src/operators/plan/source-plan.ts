/** Where a pipeline's records come from. */
export type SourcePlan =
  | {
      readonly kind: 'table'
      readonly name: string
      /** Whether the items that are there at the deploy come first, as inserts. */
      readonly snapshot?: boolean
    }
  | { readonly kind: 'stream'; readonly name: string }
  | FilesPlan
  | KafkaSourcePlan

/** A Kafka topic. */
export interface KafkaSourcePlan {
  readonly kind: 'kafka'
  /** The topic. */
  readonly name: string
  /** Those of the configuration when there are none. */
  readonly brokers: readonly string[]
  /** In their place: a name of the configuration. */
  readonly cluster?: string
  /** Where it begins; partitions that come later are read from their beginning. */
  readonly start: 'oldest' | 'newest'
}

/** Files of a bounded run: in the order given, and those of a pattern in the order of their names. */
export interface FilesPlan {
  readonly kind: 'files'
  /** Paths, whose last parts may have `*`. */
  readonly paths: readonly string[]
  readonly format: FileFormat
  /** Columns with the key and the time of a record. */
  readonly key?: string
  readonly time?: string
}

/** What a source is called: its table or stream, or the paths of its files. */
export const sourceLabel = (source: SourcePlan): string =>
  source.kind === 'files' ? source.paths.join(', ') : source.name

/** One JSON document a line, or comma-separated values whose first line names the columns. */
export type FileFormat = 'ndjson' | 'csv'
