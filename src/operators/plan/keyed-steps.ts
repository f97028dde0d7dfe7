/** Methods of a keyed flow that a flow without a key has not. */
export const keyedSteps = [
  'count',
  'sum',
  'min',
  'max',
  'average',
  'distinct',
  'topN',
  'reduce',
  'aggregate',
  'deduplicate',
  'process',
  'window',
] as const
