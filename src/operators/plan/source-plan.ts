/** Where a pipeline's records come from. */
export type SourcePlan =
  | {
      readonly kind: 'table'
      readonly name: string
      /** Whether the items that are there at the deploy come first, as inserts. */
      readonly snapshot?: boolean
    }
  | { readonly kind: 'stream'; readonly name: string }
  /** Files of a bounded run, in the order of their names. */
  | { readonly kind: 'files'; readonly path: string; readonly format: FileFormat }

/** One JSON document a line, or comma-separated values whose first line names the columns. */
export type FileFormat = 'ndjson' | 'csv'
