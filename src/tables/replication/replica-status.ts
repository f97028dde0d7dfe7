/** How the replica of a table in another region is, as this region sees it. */
export interface ReplicaStatus {
  readonly status: 'CREATING' | 'CREATION_FAILED' | 'ACTIVE' | 'DELETING'
  /** What is wrong, while something is. */
  readonly description?: string
}
