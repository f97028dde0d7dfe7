/** Two numbers that an action may use as it likes. */
export interface Choice {
  readonly pick: number
  readonly size: number
}
