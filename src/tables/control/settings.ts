/** How the control plane behaves: `tables` of the configuration. */
export interface ControlSettings {
  /** How long a table is CREATING, UPDATING, DELETING. */
  readonly createMs: number
  readonly updateMs: number
  readonly deleteMs: number
  /** Whether throughput is more than described. */
  readonly throttle: boolean
  /** Shards that warm throughput gives a stream at most. */
  readonly warmShardsMax: number
  /** Time between two counts of a table's items. */
  readonly countMs: number
  /** What answers of Queries may take in memory. */
  readonly queryCacheBytesMax: number
}

/** What holds where nothing is configured. */
export const controlDefaults: ControlSettings = {
  createMs: 0,
  updateMs: 0,
  deleteMs: 0,
  throttle: false,
  warmShardsMax: 256,
  countMs: 6 * 60 * 60 * 1000,
  queryCacheBytesMax: 32 * 1024 * 1024,
}
