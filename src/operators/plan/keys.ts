/** What a value may be keyed by. Two keys are the same when they hold the same. */
export type RowKey =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | readonly RowKey[]
  | { readonly [name: string]: RowKey }
